/**
 * Bundles the programs of `test/fixtures` and the servers of examples that tests start as processes, once for a run of the tests: most of
 * the time of such a program was the loading of its modules, one by one.
 */
import { createHash } from "node:crypto"
import { existsSync } from "node:fs"
import { cp, mkdir, mkdtemp, readdir, rename, rm, stat, utimes, writeFile } from "node:fs/promises"
import { findPackageJSON } from "node:module"
import { delimiter, dirname, join } from "node:path"
import process from "node:process"
import { rolldown } from "rolldown"

const fixtures = join(import.meta.dirname, "../test/fixtures")

const programs = [
  "abruptExit",
  "authorizedProcess",
  "conformanceModern",
  "conformanceTasks",
  "conformanceServer",
  "cycles",
  "eraServer",
  "gatewayNode",
  "modernStdio",
  "serverHost",
  "stdioServer",
  "tokenStoreProcess",
  "untidyPeer"
]

/** The servers that examples name by their commands. */
const servers = ["everything", "filesystem"] as const

const installed = (server: typeof servers[number]): string =>
  join(
    dirname(findPackageJSON(`@modelcontextprotocol/server-${server}`, join(fixtures, "fixture.ts")) ?? ""),
    "dist"
  )

const cache = join(import.meta.dirname, "../node_modules/.cache/programs")

/** How long a bundle that no run uses is kept, in milliseconds. */
const keptFor = 24 * 60 * 60 * 1000

const now = performance.timeOrigin + performance.now()

/** Removes the bundles of older sources. */
const prune = async (): Promise<void> => {
  for (const name of await readdir(cache)) {
    const directory = join(cache, name)
    if (now - (await stat(directory)).mtimeMs > keptFor) await rm(directory, { recursive: true, force: true })
  }
}

/** Bundles programs, each under its name in a folder. Gives the content of each file. */
const bundle = async (folder: string, input: Record<string, string>): Promise<ReadonlyArray<[string, string]>> => {
  const build = await rolldown({
    input,
    platform: "node",
    // Optional parts of packages that are not installed.
    external: ["bufferutil", "utf-8-validate", "pg-native", "cloudflare:sockets", /^@opentelemetry\//],
    logLevel: "warn"
  })
  const { output } = await build.generate({
    format: "esm",
    entryFileNames: "[name].mjs",
    chunkFileNames: "[name]-[hash].mjs"
  })
  await build.close()
  return output.flatMap((file) => file.type === "chunk" ? [[join(folder, file.fileName), file.code]] : [])
}

/**
 * The global setup of Vitest. Tests find the bundles of `test/fixtures` by the variable `TEST_PROGRAMS` (`test/fixtures/fixture.ts`), and
 * servers by their commands, of which those that are not bundled are in `test/node_modules`. Bundles of the same content have the same path,
 * for the sake of Node's compile cache, and are never written twice: other runs may be using them.
 */
export const setup = async (): Promise<void> => {
  const files = [
    ...await bundle("", Object.fromEntries(programs.map((name) => [name, join(fixtures, `${name}.ts`)]))),
    ...await bundle(
      "servers",
      Object.fromEntries(servers.map((name) => [`mcp-server-${name}`, join(installed(name), "index.js")]))
    )
  ]
  const hash = createHash("sha256")
  for (const [name, code] of files) hash.update(name).update(code)
  const directory = join(cache, hash.digest("hex").slice(0, 16))
  if (existsSync(directory)) {
    await utimes(directory, now / 1000, now / 1000)
  } else {
    await mkdir(cache, { recursive: true })
    const fresh = await mkdtemp(join(cache, "new-"))
    for (const folder of ["servers", "bin"]) await mkdir(join(fresh, folder))
    for (const [name, code] of files) await writeFile(join(fresh, name), code)
    for (const name of servers) {
      const program = join(directory, "servers", `mcp-server-${name}.mjs`)
      const script = `#!/bin/sh\nexec '${process.execPath}' '${program}' "$@"\n`
      await writeFile(join(fresh, "bin", `mcp-server-${name}`), script, { mode: 0o755 })
    }
    // The resources of the server, which looks for them beside the folder of its code.
    await cp(join(installed("everything"), "docs"), join(fresh, "docs"), { recursive: true })
    // Another run may have been faster.
    await rename(fresh, directory).catch((error) => existsSync(directory) ? undefined : Promise.reject(error))
  }
  await prune()
  process.env.TEST_PROGRAMS = directory
  process.env.PATH = [join(directory, "bin"), join(fixtures, "../node_modules/.bin"), process.env.PATH].join(delimiter)
}
