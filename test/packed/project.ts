/**
 * An empty project with the packed packages.
 */
import { spawn } from "node:child_process"
import { cp, mkdir, readdir, rm, writeFile } from "node:fs/promises"
import { join } from "node:path"

export const root = join(import.meta.dirname, "../..")
export const names = ["core", "transports", "cli"] as const

/** How long a program may run, in milliseconds: far more than any of them takes. */
const limit = 300_000

/** How a program ended. */
export interface Ended {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface RunOptions {
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string>>
}

/** Runs a program to its end. */
export const run = (
  ...[words, { cwd = root, env = {} }]: readonly [ReadonlyArray<string>, RunOptions]
): Promise<Ended> =>
  new Promise((resolve, reject) => {
    const [command = "", ...args] = words
    const child = spawn(command, args, { cwd, env: { ...process.env, ...env }, timeout: limit })
    let [stdout, stderr] = ["", ""]
    child.stdout.setEncoding("utf8").on("data", (text) => stdout += text)
    child.stderr.setEncoding("utf8").on("data", (text) => stderr += text)
    child.once("error", reject).once("close", (status) => resolve({ status, stdout, stderr }))
    child.stdin.end()
  })

/** Runs a program that has to succeed, and gives what it prints. */
export const output = async (...[words, options]: Parameters<typeof run>): Promise<string> => {
  const { status, stderr, stdout } = await run(words, options)
  if (status !== 0) throw new Error(`${words.join(" ")} ended with ${status}:\n${stdout}${stderr}`)
  return stdout
}

/** A package of this folder, or a file in it. */
export const tool = (...path: ReadonlyArray<string>): string => join(import.meta.dirname, "node_modules", ...path)

export interface Project {
  readonly directory: string
  /** The packed files, in the order of `names`. */
  readonly tarballs: ReadonlyArray<string>
}

/** Packs packages into a new directory, and makes an empty project in it, with the programs of this folder. */
export const pack = async (
  ...[base, packages]: readonly [base: string, packages: ReadonlyArray<typeof names[number]>]
): Promise<Project> => {
  await rm(base, { recursive: true, force: true })
  const directory = join(base, "project")
  await mkdir(directory, { recursive: true })
  for (const name of packages) {
    await output(["pnpm", "pack", "--pack-destination", base], { cwd: join(root, "packages", name) })
  }
  const files = await readdir(base)
  const tarballs = packages.map((name) => {
    const file = files.find((file) => file.startsWith(`mcp-sessions-${name}-`))
    if (file === undefined) throw new Error(`no packed file of ${name}`)
    return join(base, file)
  })
  await writeFile(join(directory, "package.json"), JSON.stringify({ private: true, type: "module" }))
  await cp(join(import.meta.dirname, "programs"), directory, { recursive: true })
  return { directory, tarballs }
}

/** Packs all packages, and installs them with npm into an empty project. */
export const makeProject = async (): Promise<Project> => {
  const project = await pack(tool(".cache"), names)
  const { directory, tarballs } = project
  await output(["npm", "install", "--no-audit", "--no-fund", ...tarballs, "effect@^4.1.0", "@types/node@^24"], {
    cwd: directory
  })
  return project
}
