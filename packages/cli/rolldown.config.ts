import { readFileSync } from "node:fs"
import { defineConfig, type PluginContext } from "rolldown"

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

/** Stands for the module of Redis where nothing uses it. */
const noRedis = "\0no-redis.js"

/**
 * Gives the stores in Redis modules of Effect for themselves. Every call loads these modules for the stores in memory: what they have for Redis, and
 * all that it imports, would be in the file of each call.
 */
const storesInRedis = {
  name: "stores-in-redis",
  resolveId: {
    filter: { id: /(persistence\/(RateLimiter|CircuitBreaker)|\/Redis\.js)$/ },
    async handler(this: PluginContext, id: string, importer: string | undefined) {
      if (importer?.endsWith("/internal/redisStores.ts") === true) {
        const resolved = await this.resolve(id, importer, { skipSelf: true })
        return resolved === null ? null : `${resolved.id}?redis`
      }
      return /\/persistence\/(RateLimiter|CircuitBreaker)\.js$/.test(importer ?? "") ? noRedis : null
    }
  },
  load: {
    filter: { id: /\?redis$|no-redis\.js$/ },
    handler: (id: string) => ({
      code: id === noRedis
        ? "export class Redis {}\nexport const script = () => Redis"
        : readFileSync(id.slice(0, -"?redis".length), "utf8"),
      moduleType: "js" as const
    })
  },
  generateBundle(_: unknown, bundle: Readonly<Record<string, object>>) {
    const isUsed = Object.values(bundle).some((chunk) =>
      "modules" in chunk && Object.hasOwn(chunk.modules as object, noRedis)
    )
    if (isUsed) throw new Error("a module that calls load uses Redis: see the plugin stores-in-redis")
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
  plugins: [commandTree, lateModules, lateSegmenter, storesInRedis],
  output: {
    dir: "bundle",
    minify: true,
    cleanDir: true,
    codeSplitting: { includeDependenciesRecursively: true, groups }
  }
})
