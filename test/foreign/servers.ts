/**
 * The servers of other people, which `servers.json` lists: the package of each, how it is started, and what one of its tools answers. For
 * a library there is the smallest program on it, in `programs` or `others`. The packages of `test/package.json` are there for the tests;
 * those of `test/foreign/package.json` are installed by `pnpm foreign`.
 */
import { chmodSync, copyFileSync, readFileSync } from "node:fs"
import { findPackageJSON } from "node:module"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"

/** The protocols that definitions ask for. */
export const protocols = ["legacy", "auto"] as const

export interface Foreign {
  readonly name: string
  /** The package that it is or is written on. */
  readonly from: string
  /**
   * The words of its command. `node` is this Node, `bin:PACKAGE` what a package installs as a command, `in:PATH` a file of its own
   * package, `binary:PATH` an executable of that, `here:PATH` a file of this folder, and `shell:WORDS` a command quoted for a shell.
   */
  readonly command: ReadonlyArray<string>
  /**
   * The paths of the transports on which it listens (`http`: whichever of the two over HTTP it speaks); absent for a server on stdio.
   */
  readonly at?: Readonly<Partial<Record<"streamable_http" | "sse" | "websocket" | "http", string>>>
  /** What it has printed when it is ready. */
  readonly prints?: string
  /** A tool, its arguments, and a part of what it answers. */
  readonly call: readonly [tool: string, args: Record<string, unknown>, answer: string]
  /** The protocols in which it is restarted under a session. */
  readonly restarted?: ReadonlyArray<typeof protocols[number]>
}

export const local = (path: string): string => fileURLToPath(new URL(path, import.meta.url))

const read = (path: string) => JSON.parse(readFileSync(path, "utf8"))

export const servers: ReadonlyArray<Foreign> = read(local("servers.json"))

export const waysOf = ({ at }: Foreign): ReadonlyArray<string> => Object.keys(at ?? { stdio: "" })

export const named = (name: string): Foreign => {
  const server = servers.find((server) => server.name === name)
  if (server === undefined) throw new Error(`servers.json has no ${name}`)
  return server
}

const manifestOf = (name: string): string | undefined => {
  try {
    return findPackageJSON(name, import.meta.url)
  } catch {
    return undefined
  }
}

/** The version that is installed: a package with a binary for one platform is installed there alone. */
export const versionOf = (name: string): string | undefined => {
  const manifest = manifestOf(name)
  return manifest === undefined ? undefined : read(manifest).version.replace(/^v/, "")
}

/** The words of a command of a server that runs in a directory. */
export const wordsOf = ({ command, from }: Foreign, directory: string): ReadonlyArray<string> => {
  const inside = (name: string, path: string) => join(dirname(manifestOf(name) ?? ""), path)
  const resolve = (word: string): string => {
    const [, kind, rest = ""] = /^(\w+):(.*)$/.exec(word) ?? ["", word]
    switch (kind) {
      case "node":
        return process.execPath
      case "bin": {
        const { bin } = read(inside(rest, "package.json"))
        return inside(rest, typeof bin === "string" ? bin : String(Object.values(bin)[0]))
      }
      case "in":
        return inside(from, rest)
      case "binary": {
        // Its install script, which does not run, would make it executable.
        const binary = join(directory, "binary")
        copyFileSync(inside(from, rest), binary)
        chmodSync(binary, 0o755)
        return binary
      }
      case "here":
        return local(rest)
      case "shell":
        return rest.split(" ").map((word) => `'${resolve(word)}'`).join(" ")
      default:
        return word
    }
  }
  return command.map(resolve)
}

const { dependencies, optionalDependencies } = read(local("../package.json"))

/** The servers that the tests start: those whose packages come with the repository, and are made for this platform. */
export const tested: ReadonlyArray<Foreign> = servers.filter(({ from }) =>
  from in dependencies || (from in optionalDependencies && versionOf(from) !== undefined)
)
