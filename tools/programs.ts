/**
 * Bundles the programs of `test/fixtures` that tests start as processes, once for a run of the tests: most of the time of such a program
 * was the loading of its modules, one by one.
 */
import { createHash } from "node:crypto"
import { existsSync } from "node:fs"
import { mkdir, mkdtemp, readdir, rename, rm, stat, utimes, writeFile } from "node:fs/promises"
import { join } from "node:path"
import process from "node:process"
import { rolldown } from "rolldown"

const fixtures = join(import.meta.dirname, "../test/fixtures")

const programs = [
  "abruptExit",
  "authorizedProcess",
  "cycles",
  "eraServer",
  "modernPeer",
  "serverHost",
  "stdioServer",
  "tokenStoreProcess",
  "untidyPeer"
]

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

/**
 * The global setup of Vitest. Tests find the bundles by the variable `TEST_PROGRAMS` (`test/fixtures/fixture.ts`). Bundles of the same content
 * have the same path, for the sake of Node's compile cache, and are never written twice: other runs may be using them.
 */
export const setup = async (): Promise<void> => {
  const bundle = await rolldown({
    input: Object.fromEntries(programs.map((name) => [name, join(fixtures, `${name}.ts`)])),
    platform: "node",
    // Optional parts of packages that are not installed.
    external: ["bufferutil", "utf-8-validate", "pg-native", "cloudflare:sockets", /^@opentelemetry\//],
    logLevel: "warn"
  })
  const { output } = await bundle.generate({
    format: "esm",
    entryFileNames: "[name].mjs",
    chunkFileNames: "[name]-[hash].mjs"
  })
  await bundle.close()
  const files = output.flatMap((file) => file.type === "chunk" ? [[file.fileName, file.code] as const] : [])
  const hash = createHash("sha256")
  for (const [name, code] of files) hash.update(name).update(code)
  const directory = join(cache, hash.digest("hex").slice(0, 16))
  if (existsSync(directory)) {
    await utimes(directory, now / 1000, now / 1000)
  } else {
    await mkdir(cache, { recursive: true })
    const fresh = await mkdtemp(join(cache, "new-"))
    for (const [name, code] of files) await writeFile(join(fresh, name), code)
    // Another run may have been faster.
    await rename(fresh, directory).catch((error) => existsSync(directory) ? undefined : Promise.reject(error))
  }
  await prune()
  process.env.TEST_PROGRAMS = directory
}
