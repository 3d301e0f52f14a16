/**
 * Finds the configuration files: those that the caller names, or those of the project and of the user.
 */
import * as Effect from "effect/Effect"
import { Host } from "../../Host.ts"
import { type ClientName, clientNames } from "./client.ts"
import { clients } from "./clients.ts"
import type { Scope } from "./model.ts"
import { memberOf, type Node } from "./node.ts"

type HostService = Host["Service"]

/** A file to read. */
export interface Source {
  readonly path: string
  /** The path for people. */
  readonly source: string
  /** `undefined`: the content decides. */
  readonly client: ClientName | undefined
  readonly scope: Scope
  /** The folder that relative paths and `${workspaceFolder}` refer to. */
  readonly folder: string
}

/** A project: its folders from the working directory up to the root of its version control. */
export interface Project {
  readonly folders: ReadonlyArray<string>
  readonly root: string
}

const vcsDirectories = [".git", ".hg", ".jj", ".svn"]

/** How many parents are looked at. */
const parentLimit = 100

const hasVcs = (host: HostService, folder: string): Effect.Effect<boolean> =>
  Effect.map(
    Effect.forEach(vcsDirectories, (name) => host.exists(host.resolve(folder, name)), { concurrency: "unbounded" }),
    (found) => found.includes(true)
  )

/** Finds the project of the working directory. Without version control it is the directory alone. */
export const projectOf: Effect.Effect<Project, never, Host> = Effect.gen(function*() {
  const host = yield* Host
  const { workingDirectory } = host
  const folders = [workingDirectory]
  for (let folder = workingDirectory; folders.length <= parentLimit;) {
    if (yield* hasVcs(host, folder)) return { folders, root: folder }
    const parent = host.parent(folder)
    if (parent === folder) break
    folders.push(parent)
    folder = parent
  }
  return { folders: [workingDirectory], root: workingDirectory }
})

/** The path for people: relative to a directory that contains it. */
const relative = (host: HostService, path: string): string => {
  const { workingDirectory } = host
  const rest = path.startsWith(workingDirectory) ? path.slice(workingDirectory.length) : ""
  const isBelow = /^[\\/]/.test(rest) || rest !== "" && /[\\/]$/.test(workingDirectory)
  return isBelow ? rest.replace(/^[\\/]/, "") : path
}

const projectSources = (host: HostService, folder: string): ReadonlyArray<Source> =>
  clientNames.flatMap((client) =>
    clients[client].projectFiles.map((file) => {
      const path = host.resolve(folder, file)
      return { path, source: relative(host, path), client, scope: "project" as const, folder }
    })
  )

const userSources = (host: HostService): ReadonlyArray<Source> =>
  clientNames.flatMap((client) =>
    clients[client].userFiles(host).map((path) => ({
      path,
      source: relative(host, path),
      client,
      scope: "user" as const,
      folder: host.workingDirectory
    }))
  )

/** All files that may exist, nearest first. A file of the user in a project folder is of the user. */
export const candidatesOf = (host: HostService, project: Project): ReadonlyArray<Source> => {
  const ofUser = userSources(host)
  const userPaths = new Set(ofUser.map(({ path }) => path))
  const ofProject = project.folders
    .flatMap((folder) => projectSources(host, folder))
    .filter(({ path }) => !userPaths.has(path))
  return [...ofProject, ...ofUser]
}

/** A variable that lists files, and replaces the search for files. */
const filesVariable = "MCP_SESSIONS_CONFIG"

/** The files of the variable. `undefined`: it is not set. */
export const filesOfVariable = ({ environment, platform }: HostService): ReadonlyArray<string> | undefined => {
  const list = environment[filesVariable]
  const files = list?.split(platform === "win32" ? ";" : ":").filter((file) => file !== "") ?? []
  return files.length === 0 ? undefined : files
}

const segmentsOf = (path: string): ReadonlyArray<string> => path.split(/[\\/]/)

const endsWith = (path: string, end: string): boolean => {
  const wanted = segmentsOf(end)
  return segmentsOf(path).slice(-wanted.length).join("/") === wanted.join("/")
}

/** Names of files that mean something else in other directories. */
const commonNames = new Set(["settings.json", "config.toml", "mcp.json"])

/** A file that the caller names. Its place says which program it is of. */
export const explicitSource = (host: HostService, given: string): Source => {
  const path = host.resolve(host.workingDirectory, given)
  const ofProject =
    clientNames.flatMap((client) =>
      clients[client].projectFiles.filter((file) => endsWith(path, file)).map((file) => ({ client, file }))
    )[0]
  const ofUser = clientNames.find((client) =>
    clients[client].userFiles(host).some((file) => {
      const name = segmentsOf(file).at(-1) ?? ""
      return file === path || !commonNames.has(name) && endsWith(path, name)
    })
  )
  const folder = ofProject === undefined
    ? host.parent(path)
    : segmentsOf(ofProject.file).reduce((path) => host.parent(path), path)
  const client = ofProject?.client ?? ofUser ?? (path.endsWith(".toml") ? "codex" : undefined)
  return { path, source: relative(host, path), client, scope: "explicit", folder }
}

/** The program whose form a document has. A list of unknown origin has the form that most programs share. */
export const clientOf = (path: string, tree: Node): ClientName => {
  const has = (key: string) => memberOf(tree, key) !== undefined
  if (has("context_servers")) return "zed"
  if (has("mcp_servers")) return "codex"
  if (has("mcpServers")) return "claude-code"
  if (has("mcp")) return "opencode"
  return has("servers") && endsWith(path, "mcp.json") ? "vscode" : "mcp-sessions"
}
