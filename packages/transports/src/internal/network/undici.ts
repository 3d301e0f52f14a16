/**
 * The HTTP client. The published package has its code in this module (`rolldown.config.ts`). Imported by the name of its file: Bun puts a
 * substitute in place of the name of the package, whose agents dispatch nothing.
 */
// oxlint-disable-next-line import/no-unassigned-import -- runs before undici, which fails on a Node that is too old
import "../supportedNode.ts"

// oxlint-disable-next-line eslint/no-restricted-imports -- a file of a package
export { Agent, buildConnector } from "undici/index.js"
