/**
 * Finds out whether a directory below a project has a configuration of its own, which comes before that of the project.
 *
 * A directory is read again only after one of its files has changed.
 */
import * as ConfigFile from "@mcp-sessions/core/ConfigFile"
import { Host } from "@mcp-sessions/core/Host"
import * as NodeHost from "@mcp-sessions/transports/NodeHost"
import * as Effect from "effect/Effect"
import * as Path from "node:path"
import { stampsOf } from "./configurationChange.ts"

/** How many directories are remembered. */
const directoryLimit = 100

interface Known {
  readonly files: ReadonlyArray<string>
  readonly stamps: string
  readonly hasOwn: boolean
}

/** Whether a path leads below a directory. */
const isBelow = (directory: string, path: string): boolean => {
  const relative = Path.relative(directory, path)
  return relative !== "" && relative.split(Path.sep)[0] !== ".." && !Path.isAbsolute(relative)
}

/** Whether a configuration has servers, or a file that cannot be read, between the project and the directory that it was loaded for. */
const hasOwnServers = (options: {
  readonly configuration: ConfigFile.Configuration
  readonly project: string
  readonly ofProject: ReadonlySet<string>
}): boolean => {
  const { configuration: { files, problems, replaced, servers }, ofProject, project } = options
  const isOwn = (file: string | undefined) => file !== undefined && isBelow(project, file) && !ofProject.has(file)
  return files.some(({ file, scope, servers }) => scope === "project" && servers > 0 && isOwn(file)) ||
    problems.some(({ file, server }) => server === undefined && isOwn(file)) ||
    // The settings of a user for one folder.
    [...servers, ...replaced].some(({ path, scope }) => scope === "local" && isBelow(project, path[1] ?? project))
}

/** Returns a function that says whether a directory below `project` has a configuration of its own. */
export const nearerConfiguration = (options: {
  readonly project: string
  readonly environment: Readonly<Record<string, string | undefined>>
}): (directory: string) => Effect.Effect<boolean> => {
  const { environment, project } = options
  const known = new Map<string, Known>()
  const load = (directory: string) =>
    ConfigFile.load().pipe(
      Effect.provideService(Host, NodeHost.make({ environment, workingDirectory: directory })),
      Effect.option
    )
  return (directory) =>
    Effect.gen(function*() {
      if (!isBelow(project, directory)) return false
      const before = known.get(directory)
      if (before !== undefined && before.stamps === stampsOf(before.files)) return before.hasOwn
      const ofProject = yield* load(project)
      const loaded = yield* load(directory)
      // Only files that a variable names can fail to load, and those are the same everywhere.
      if (loaded._tag === "None" || ofProject._tag === "None") return false
      const hasOwn = hasOwnServers({
        configuration: loaded.value,
        project,
        ofProject: new Set(ofProject.value.searched)
      })
      if (known.size >= directoryLimit) known.clear()
      const files = loaded.value.searched
      known.set(directory, { files, stamps: stampsOf(files), hasOwn })
      return hasOwn
    })
}
