/**
 * Addresses of the processes that hold sessions.
 *
 * On POSIX systems an address is the path of a socket with mode 0600 in a directory with mode 0700, and the system keeps other users out.
 * On Windows it is the name of a pipe and a token, both unguessable.
 */
import { Buffer } from "node:buffer"
import { createHash, randomBytes } from "node:crypto"
import * as Fs from "node:fs"
import { tmpdir } from "node:os"
import * as Path from "node:path"
import process from "node:process"

/** Where a holder listens. A holder with a token refuses clients without it. */
export interface Address {
  readonly path: string
  readonly token: string | undefined
}

type Environment = Readonly<Record<string, string | undefined>>

const isWindows = process.platform === "win32"

/** The longest path of a socket that all systems take, in bytes. */
const pathLimit = 103

/** How many parents of a directory are searched for a holder. */
const parentLimit = 64

const parse = (text: string): Address => {
  const [path = "", token] = isWindows ? text.split("#", 2) : [text]
  return { path, token }
}

/** Formats an address to pass it on. */
export const format = ({ path, token }: Address): string => token === undefined ? path : `${path}#${token}`

/** The directories that sockets may be in, the best one first. A client finds a holder whose environment differs in all of them. */
export const socketDirectories = (environment: Environment): ReadonlyArray<string> => {
  if (isWindows) {
    return [
      Path.join(
        environment.LOCALAPPDATA ?? Path.join(environment.USERPROFILE ?? "", "AppData", "Local"),
        "mcp-sessions",
        "run"
      )
    ]
  }
  const runtime = environment.XDG_RUNTIME_DIR
  const own = `mcp-sessions-${process.getuid?.() ?? ""}`
  const directories = [
    ...runtime !== undefined && Path.isAbsolute(runtime) ? [Path.join(runtime, "mcp-sessions")] : [],
    Path.join(tmpdir(), own),
    Path.join("/tmp", own)
  ]
  return directories.filter((directory, index) => directories.indexOf(directory) === index)
}

/** Why a directory is not safe for sockets; `undefined` if it is. */
export const unsafetyOf = (directory: string): string | undefined => {
  const stats = Fs.lstatSync(directory)
  if (!stats.isDirectory()) return "is not a directory"
  if (isWindows) return undefined
  if (stats.uid !== process.getuid?.()) return "belongs to another user"
  return (stats.mode & 0o077) === 0 ? undefined : "can be opened by other users"
}

const hash = (text: string): string => createHash("sha256").update(text).digest("hex").slice(0, 32)

/** Returns the real path of a directory; the path as it is if that cannot be read. */
const realPath = (directory: string): string => {
  try {
    return Fs.realpathSync(directory)
  } catch {
    // A directory that was removed, or may not be read, has no holder.
    return directory
  }
}

/** Returns the file that leads to the holder of a project: the socket, or on Windows a file with the address. */
export const projectFile = (...[directory, project]: readonly [directory: string, project: string]): string =>
  Path.join(directory, `${hash(realPath(project))}.${isWindows ? "json" : "sock"}`)

/** Whether a socket can have this path. */
export const isShortEnough = (path: string): boolean => isWindows || Buffer.byteLength(path) <= pathLimit

/** Returns a name that no other process can guess. */
export const randomName = (): string => randomBytes(16).toString("hex")

/** Makes the address of a new holder. `file` is the path of its socket on POSIX systems. */
export const make = (file: string): Address =>
  isWindows
    ? { path: `\\\\.\\pipe\\mcp-sessions-${randomName()}`, token: randomName() }
    : { path: file, token: undefined }

/** Why a socket may be that of another user; `undefined` if only this user can listen there. Fails if it is missing. */
const unsafetyOfSocket = (file: string): string | undefined => {
  const ofDirectory = unsafetyOf(Path.dirname(file))
  if (ofDirectory !== undefined) return `${Path.dirname(file)} ${ofDirectory}`
  const stats = Fs.lstatSync(file)
  if (!stats.isSocket()) return `${file} is not a socket`
  if (stats.uid !== process.getuid?.()) return `${file} belongs to another user`
  return (stats.mode & 0o077) === 0 ? undefined : `${file} can be opened by other users`
}

/** Reads the address behind a file; `undefined` if the file is missing, or not safe. */
export const read = (file: string): Address | undefined => {
  try {
    if (!isWindows) return unsafetyOfSocket(file) === undefined ? { path: file, token: undefined } : undefined
    if (unsafetyOf(Path.dirname(file)) !== undefined) return undefined
    return Fs.lstatSync(file).isFile() ? parse(Fs.readFileSync(file, "utf8")) : undefined
  } catch {
    // The directory or the file is missing.
    return undefined
  }
}

/** Reads an address that was passed on. `unsafety` says why it is not used; without it, nothing is there. */
export const readPassed = (
  text: string
): { readonly address: Address | undefined; readonly unsafety?: string | undefined } => {
  const address = parse(text)
  if (isWindows) return { address }
  try {
    const unsafety = unsafetyOfSocket(address.path)
    return unsafety === undefined ? { address } : { address: undefined, unsafety }
  } catch {
    // The holder has ended.
    return { address: undefined }
  }
}

/** The holder of a project, as found from a directory. */
export interface Found {
  readonly project: string
  readonly file: string
  readonly address: Address
}

/** Finds the holders for a directory: its own, and then those of its parents. */
export const findProjects = (
  ...[directory, environment]: readonly [directory: string, environment: Environment]
): ReadonlyArray<Found> => {
  const places = socketDirectories(environment).filter((place) => Fs.existsSync(place))
  const found: Array<Found> = []
  if (places.length === 0) return found
  let project = realPath(directory)
  for (let depth = 0; depth < parentLimit; depth++) {
    for (const place of places) {
      const file = projectFile(place, project)
      const address = read(file)
      if (address !== undefined) found.push({ project, file, address })
    }
    const parent = Path.dirname(project)
    if (parent === project) break
    project = parent
  }
  return found
}
