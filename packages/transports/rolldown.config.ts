import { readFileSync } from "node:fs"
import { defineConfig, type Plugin } from "rolldown"

/** Modules of this package that only pass a client of Node on, and the client. */
const clients = { "internal/network/undici": "undici", "internal/webSocket/ws": "ws" }

const licenseOf = (name: string): string => {
  const { version } = JSON.parse(readFileSync(`node_modules/${name}/package.json`, "utf8"))
  return `/*!\n${name} ${version}\n\n${readFileSync(`node_modules/${name}/LICENSE`, "utf8").trim()}\n*/`
}

/** Leaves the module that checks the version of Node alone, under its compiled name. */
const supportedNode: Plugin = {
  name: "supported-node",
  resolveId: (id) => id === "../supportedNode.ts" ? { id: "../supportedNode.js", external: true } : null
}

/**
 * Puts the code of these clients into the modules, as ESM. Both are CommonJS: in the ESM that bundlers such as esbuild make of it, `require`
 * of a module of Node fails ("Dynamic require of …"), and Bun replaces both by substitutes that can do less.
 */
export default defineConfig(
  Object.entries(clients).map(([module, name]) => ({
    input: `src/${module}.ts`,
    platform: "node" as const,
    // Optional parts of ws, which it tries to load.
    external: ["bufferutil", "utf-8-validate"],
    plugins: [supportedNode],
    output: {
      file: `dist/${module}.js`,
      format: "esm" as const,
      banner: licenseOf(name),
      comments: { legal: true, annotation: true, jsdoc: false }
    }
  }))
)
