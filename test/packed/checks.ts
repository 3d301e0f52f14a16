/**
 * What published packages have to stand: runtimes, compilers, bundlers, and the checks of registries.
 */
import { match, ok, strictEqual } from "node:assert/strict"
import { readFile, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { build } from "vite"
import { bundle } from "./bundle.ts"
import { names, output, type Project, root, run, tool } from "./project.ts"
import { smoke } from "./smoke.ts"

/** A check, and how what it checks is named on the page. */
export interface Check {
  readonly title: string
  readonly run: (project: Project) => Promise<void>
}

const nodeOf = (major: number): string => tool(`node-${major}`, "bin/node")

/** The oldest runtime comes first: bundles and examples have to run on it. */
const runtimes: ReadonlyArray<readonly [string, ReadonlyArray<string>]> = [
  ["Node 22", [nodeOf(22)]],
  ["Node 24", [process.execPath]],
  ["Node 26", [nodeOf(26)]],
  ["Bun", [tool(".bin/bun")]],
  ["Deno", [tool(".bin/deno"), "run", "--allow-all"]]
]
const oldest = [nodeOf(22)]

const onRuntimes = runtimes.map(([name, words]): Check => ({
  title: `${name}: every transport`,
  run: ({ directory }) => smoke(words, "smoke.mjs", directory)
}))

const bin = "node_modules/@mcp-sessions/cli/bundle/bin.js"

const commandLine = runtimes.filter(([name]) => name.startsWith("Node")).map(([name, words]): Check => ({
  title: `${name}: command line`,
  run: async ({ directory }) => {
    const server = ["--", process.execPath, "server.mjs", "ledger.txt", "stdio"]
    const said = await output([...words, bin, "call", "echo", "message=hi", ...server], { cwd: directory })
    strictEqual(said, "hi\n")
  }
}))

const tooOld: Check = {
  title: "Node 20: says that it is too old",
  run: async ({ directory }) => {
    const message = /^mcp-sessions needs Node 22\.19 or newer, and this is Node 20\.[\d.]+\n$/
    const command = await run([nodeOf(20), bin, "--version"], { cwd: directory })
    strictEqual(command.status, 1)
    match(command.stderr, message)
    const library = await run([nodeOf(20), "smoke.mjs"], { cwd: directory })
    strictEqual(library.status, 1)
    match(library.stderr, /UnsupportedNode: mcp-sessions needs Node 22\.19 or newer, and this is Node 20\./)
    ok(!library.stderr.includes("    at "), "prints a stack")
  }
}

const compilers = ["5.7", "5.8", "5.9", "6", "7"].map((version): Check => ({
  title: `TypeScript ${version}: all declarations, without skipLibCheck`,
  run: async ({ directory }) => {
    const compiler = [process.execPath, tool(`typescript-${version}`, "bin/tsc")]
    await output([...compiler, "--project", "consumer.json"], { cwd: directory })
  }
}))

const bundlers: ReadonlyArray<readonly [string, (directory: string, file: string) => Promise<unknown>]> = [
  ["esbuild", (directory, file) => {
    const options = ["--bundle", "--platform=node", "--format=esm", "--target=node22", "--minify"]
    return output([tool(".bin/esbuild"), "smoke.mjs", ...options, `--outfile=${file}`], { cwd: directory })
  }],
  ["rolldown", (directory, file) => bundle(directory, "smoke.mjs", file)],
  ["Vite", (directory, file) =>
    build({
      root: directory,
      logLevel: "error",
      ssr: { noExternal: true },
      build: {
        ssr: "smoke.mjs",
        outDir: ".",
        emptyOutDir: false,
        minify: true,
        rolldownOptions: { output: { entryFileNames: file, codeSplitting: false } }
      }
    })]
]

const bundled = bundlers.map(([name, write]): Check => ({
  title: `${name}: one file, on Node 22`,
  run: async ({ directory }) => {
    const file = `bundle.${name}.mjs`
    await write(directory, file)
    await smoke(oldest, file, directory)
  }
}))

const readmes = ["README.md", ...names.map((name) => `packages/${name}/README.md`)]
const fence = /^```ts import\.meta\.vitest\n([\s\S]*?)^```/gm

const examples: Check = {
  title: "Node 22: examples of the READMEs, with `await using` lowered",
  run: async ({ directory }) => {
    const env = { PATH: `${join(root, "test/node_modules/.bin")}:${process.env.PATH}` }
    const texts = await Promise.all(readmes.map((file) => readFile(join(root, file), "utf8")))
    const codes = texts.flatMap((text) => Array.from(text.matchAll(fence), ([, code = ""]) => code))
    ok(codes.length > 4, "too few examples")
    for (const code of codes) {
      await writeFile(join(directory, "example.ts"), code)
      const options = ["--format=esm", "--target=node22", "--outfile=example.mjs"]
      await output([tool(".bin/esbuild"), "example.ts", ...options], { cwd: directory })
      await output([...oldest, "example.mjs"], { cwd: directory, env })
    }
  }
}

const manifests: Check = {
  title: "publint, and attw for the libraries",
  run: async ({ tarballs }) => {
    for (const [index, tarball] of tarballs.entries()) {
      await output([join(root, "node_modules/.bin/publint"), tarball, "--strict"], {})
      // Imports of ESM: the packages have no CommonJS. The command line has nothing to import.
      const options = ["--profile", "esm-only", "--no-emoji"]
      if (names[index] !== "cli") await output([tool(".bin/attw"), tarball, ...options], {})
    }
  }
}

/** Publishes nothing. npm makes provenance only in a job of CI, and a dry run ends before that. */
const publishing: Check = {
  title: "npm publish --dry-run --provenance",
  run: async ({ tarballs }) => {
    for (const tarball of tarballs) await output(["npm", "publish", tarball, "--dry-run", "--provenance"], {})
  }
}

/** All checks, in the order in which they run. */
export const checks: ReadonlyArray<Check> = [
  manifests,
  publishing,
  ...onRuntimes,
  ...commandLine,
  tooOld,
  examples,
  ...bundled,
  ...compilers
]
