/**
 * Memo of a launch: what a call has started, and everything that decided it. Loads nothing but Node.
 *
 * **Details**
 *
 * A memo holds no text of a definition and no value of a variable. The texts of the launch are places in files, whose contents are known by their
 * hashes, or names of variables. The values of variables that the reading has looked at are known by a keyed hash.
 */
import { dirname } from "node:path"
import type { Fact } from "./facts.ts"

/** A text of the launch: a part of the file of a fact, or the value of a variable. */
type TextSource =
  | { readonly file: number; readonly at: number; readonly length: number }
  | { readonly variable: string }

/** A working directory: that of this process, or the parent of a file so many levels up. */
type DirectorySource = "unset" | { readonly file: number; readonly levels: number }

/** What was started. */
export interface LaunchSource {
  readonly command: TextSource
  readonly args: ReadonlyArray<TextSource>
  readonly cwd: DirectorySource
  /** Whether the process has what every process inherits. */
  readonly inherits: boolean
  /** Further variables, or all. */
  readonly env: ReadonlyArray<readonly [name: string, source: TextSource]>
  readonly given: ReadonlyArray<string>
}

export interface Memo {
  readonly facts: ReadonlyArray<Fact>
  /** The names of the variables that the reading has looked at. */
  readonly variables: ReadonlyArray<string>
  /** The keyed hash of their values. */
  readonly values: string
  readonly launch: LaunchSource
  /** Whether the server has shown by an answer that it is of the legacy era. */
  readonly isLegacy: boolean
}

/** A process to start. */
export interface Launch {
  readonly command: string
  readonly args: ReadonlyArray<string>
  readonly cwd: string | undefined
  readonly env: Readonly<Record<string, string>>
  readonly given: ReadonlyArray<string>
}

export type Environment = Readonly<Record<string, string | undefined>>

/** The longest way from a file up to the folder that its servers run in. */
const levelLimit = 4

/** What the sources of a launch refer to. */
interface Origins {
  readonly facts: ReadonlyArray<Fact>
  /** The texts of the files by the places of their facts. */
  readonly texts: ReadonlyMap<number, string>
  readonly environment: Environment
  /** The variables that every process inherits. */
  readonly inherited: Readonly<Record<string, string>>
}

const parentOf = ({ facts }: Origins, file: number, levels: number): string | undefined => {
  let path = facts[file]?.path
  for (let level = 0; level < levels && path !== undefined; level++) path = dirname(path)
  return path
}

const textOf = (source: TextSource, { environment, texts }: Origins): string | undefined => {
  if ("variable" in source) return environment[source.variable]
  const text = texts.get(source.file)
  return text !== undefined && source.at + source.length <= text.length
    ? text.slice(source.at, source.at + source.length)
    : undefined
}

/** Returns what a memo starts. `undefined`: a text has no value any more. */
export const launchOf = (source: LaunchSource, origins: Origins): Launch | undefined => {
  const command = textOf(source.command, origins)
  const args = source.args.map((arg) => textOf(arg, origins))
  const env = source.env.map(([name, text]) => [name, textOf(text, origins)] as const)
  const cwd = source.cwd === "unset" ? undefined : parentOf(origins, source.cwd.file, source.cwd.levels)
  const isWhole = command !== undefined && args.every((arg) => arg !== undefined) &&
    env.every((entry): entry is readonly [string, string] => entry[1] !== undefined) &&
    (source.cwd === "unset" || cwd !== undefined)
  const inherited = source.inherits ? origins.inherited : {}
  return isWhole
    ? { command, args, cwd, env: { ...inherited, ...Object.fromEntries(env) }, given: source.given }
    : undefined
}

/** Finds where the texts of a launch come from. `undefined`: one is from elsewhere, such as a text with the value of a variable in it. */
export const sourceOf = (launch: Launch, origins: Origins & { readonly variables: ReadonlySet<string> }):
  | LaunchSource
  | undefined =>
{
  const { environment, inherited, texts, variables } = origins
  const inFile = (text: string): TextSource | undefined => {
    for (const [file, content] of texts) {
      const at = content.indexOf(text)
      if (at >= 0) return { file, at, length: text.length }
    }
    return undefined
  }
  const inVariable = (text: string): TextSource | undefined => {
    const variable = [...variables].find((name) => environment[name] === text)
    return variable === undefined ? undefined : { variable }
  }
  const find = (text: string) => inFile(text) ?? inVariable(text)
  const findDirectory = (path: string): DirectorySource | undefined => {
    for (const file of texts.keys()) {
      for (let levels = 1; levels <= levelLimit; levels++) {
        if (parentOf(origins, file, levels) === path) return { file, levels }
      }
    }
    return undefined
  }
  const command = find(launch.command)
  const args = launch.args.map(find)
  // A variable that the definition does not set is inherited: its value is that of the moment.
  const isInherited = (name: string) => inherits && !launch.given.includes(name) && Object.hasOwn(inherited, name)
  const inherits = Object.entries(inherited).every(([name, value]) =>
    launch.given.includes(name) ? Object.hasOwn(launch.env, name) : launch.env[name] === value
  )
  const env = Object.entries(launch.env).filter(([name]) => !isInherited(name)).map(([name, value]) =>
    [name, !launch.given.includes(name) && environment[name] === value ? { variable: name } : find(value)] as const
  )
  const cwd = launch.cwd === undefined ? "unset" : findDirectory(launch.cwd)
  const isWhole = command !== undefined && cwd !== undefined && args.every((arg) => arg !== undefined) &&
    env.every((entry): entry is readonly [string, TextSource] => entry[1] !== undefined)
  return isWhole ? { command, args, cwd, inherits, env, given: launch.given } : undefined
}
