/**
 * Checks what the published packages say of themselves. `pnpm packed` installs and runs them.
 */
import { assert, describe, it } from "@effect/vitest"
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import * as cli from "../packages/cli/src/internal/nodeVersion.ts"
import { version } from "../packages/cli/src/Version.ts"
import * as transports from "../packages/transports/src/internal/supportedNode.ts"

const root = join(import.meta.dirname, "..")
const manifestOf = (directory: string) => JSON.parse(readFileSync(join(root, directory, "package.json"), "utf8"))

describe("the published packages", () => {
  for (const name of ["core", "transports", "cli"]) {
    it(`describe ${name} for those who find it on npm`, () => {
      const directory = `packages/${name}`
      const manifest = manifestOf(directory)
      assert.deepInclude(manifest, { name: `@mcp-sessions/${name}`, version, license: "MIT", type: "module" })
      assert.isAbove(manifest.description.length, 30)
      assert.isAbove(manifest.keywords.length, 3)
      assert.isTrue(existsSync(join(root, directory, "README.md")))
    })
  }

  for (const name of ["core", "transports"]) {
    it(`accept in ${name} every effect from 4.1 below 5, and ranges of the other dependencies`, () => {
      const { dependencies, peerDependencies } = manifestOf(`packages/${name}`)
      assert.deepStrictEqual(peerDependencies, { effect: "^4.1.0" })
      const catalog = readFileSync(join(root, "pnpm-workspace.yaml"), "utf8")
      for (const [dependency, range] of Object.entries(dependencies)) {
        if (range === "workspace:^") continue
        assert.strictEqual(range, "catalog:", dependency)
        assert.match(catalog, new RegExp(`^  "?${dependency}"?: \\^\\d+\\.\\d+\\.\\d+$`, "m"))
      }
    })
  }

  it("refuse the versions of Node that their manifests exclude, and no others", () => {
    const oldest = manifestOf("packages/transports").engines.node.replace(">=", "")
    assert.strictEqual(manifestOf("packages/cli").engines.node, `>=${oldest}`)
    for (const { unsupportedNode } of [cli, transports]) {
      for (const supported of [`${oldest}.0`, "22.23.3", "24.0.0", "26.10.0"]) {
        assert.isUndefined(unsupportedNode(supported), supported)
      }
      for (const tooOld of ["18.20.0", "20.20.2", "22.18.0"]) {
        assert.strictEqual(
          unsupportedNode(tooOld),
          `mcp-sessions needs Node ${oldest} or newer, and this is Node ${tooOld}`
        )
      }
    }
  })
})
