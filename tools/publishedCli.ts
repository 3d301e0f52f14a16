/**
 * Bundles the command line as it is published, once for a run of the tests, in a directory without any other file.
 */
import { execFile } from "node:child_process"
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import process from "node:process"
import { promisify } from "node:util"

const root = join(import.meta.dirname, "..")

/** The global setup of Vitest. Tests find the directory by the variable `TEST_CLI` (`test/cli/cli.ts`). Returns what removes it. */
export const setup = async (): Promise<() => Promise<void>> => {
  const directory = await mkdtemp(join(tmpdir(), "published-"))
  const words = ["-c", "--dir", join(directory, "bundle")]
  await promisify(execFile)(join(root, "node_modules/.bin/rolldown"), words, { cwd: join(root, "packages/cli") })
  await writeFile(join(directory, "package.json"), "{\"type\":\"module\"}")
  process.env.TEST_CLI = directory
  return () => rm(directory, { recursive: true })
}
