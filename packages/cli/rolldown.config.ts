import { defineConfig } from "rolldown"

/** Puts the commands and flags into the bundle as data: a completion needs no command loaded. */
const commandTree = {
  name: "command-tree",
  load: {
    filter: { id: /[/\\\\]internal[/\\\\]commandTree\.ts$/ },
    handler: async (id: string) => {
      const { commandTree } = await import(id)
      return { code: `export const commandTree = ${JSON.stringify(commandTree)}`, moduleType: "js" as const }
    }
  }
}

/** Modules of Node that take long to load, and that most commands do not need. */
const late: ReadonlySet<string> = new Set(["node:child_process", "node:crypto", "node:net", "node:readline"])

/**
 * Loads modules of Node when they are used. `node:process` is the global object: the module reads all properties, and with them opens stdin, stdout
 * and stderr, which takes a tenth of the start of a command.
 */
const lateModules = {
  name: "late-modules",
  resolveId: {
    filter: { id: /^node:/ },
    handler: (id: string) => id === "node:process" || late.has(id) ? `\0late/${id}.cjs` : undefined
  },
  load: {
    filter: { id: /late\/node:/ },
    handler: async (id: string) => {
      const name = id.slice(id.indexOf("node:"), -".cjs".length)
      if (name === "node:process") return { code: "module.exports = globalThis.process", moduleType: "js" as const }
      const names = Object.keys(await import(name)).filter((key) => key !== "default")
      const getters = names.map((key) => `get ${key}() { return load().${key} }`)
      const load = `const load = () => globalThis.process.getBuiltinModule(${JSON.stringify(name)})`
      return { code: `${load}\nmodule.exports = {${getters.join(", ")}}`, moduleType: "js" as const }
    }
  }
}

/** Makes the segmenter of graphemes of `effect/cli` when a table of its help needs it: it reads tables of all languages, which takes as long as a third of a command. */
const lateSegmenter = {
  name: "late-segmenter",
  transform: {
    filter: { id: /[/\\]effect[/\\]dist[/\\]cli[/\\]CliOutput\.js$/ },
    handler: (code: string) => {
      const made = /\/\*#__PURE__\*\/\s*(new Intl\.Segmenter\([^)]*\))/
      if (!made.test(code)) throw new Error("effect/cli makes no segmenter of graphemes any more: remove this plugin")
      return { code: code.replace(made, "{ segment: (text) => ($1).segment(text) }") }
    }
  }
}

/**
 * Modules that are loaded together, with all that they import. Each file costs time to find and to load, so what a call of a held session needs is
 * one file, and what a call of a server on stdio needs before its process is started is another.
 */
const groups = [
  { name: "version", test: /\/cli\/src\/(Version|internal\/nodeVersion)\.ts$|late\/node:process/, priority: 3 },
  { name: "held", test: /\/cli\/src\/internal\/(main|socket\/findHolder|launch\/startEarly)\.ts$/, priority: 2 },
  {
    name: "call",
    test: /\/(cli\/src\/(Cli|internal\/runMain|commands\/call)|transports\/src\/Stdio)\.ts$/,
    priority: 1
  }
]

/** Bundles into several modules, so that a command loads only the code it uses. */
export default defineConfig({
  input: "src/bin.ts",
  platform: "node",
  // The oldest Node that runs the command line knows no `await using`.
  transform: { target: "node22.19" },
  // The modules of a group are loaded together, also where a command would load one of them later.
  checks: { ineffectiveDynamicImport: false },
  plugins: [commandTree, lateModules, lateSegmenter],
  output: {
    dir: "bundle",
    minify: true,
    cleanDir: true,
    codeSplitting: { includeDependenciesRecursively: true, groups }
  }
})
