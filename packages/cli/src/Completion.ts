/**
 * Completes a partial command: commands, flags and their values, servers, and what servers offer.
 *
 * @since 0.1.0
 */
import type { CommandDescriptor, FlagDescriptor } from "effect/cli/Completions"
import * as Effect from "effect/Effect"

/**
 * A word that may stand in place of the partial one.
 *
 * @category models
 * @since 0.1.0
 */
export interface Candidate {
  readonly value: string
  readonly description?: string | undefined
}

/**
 * Where the names come from. What is not known is an empty list: a completion never fails.
 *
 * @category models
 * @since 0.1.0
 */
export interface Sources<R> {
  readonly servers: Effect.Effect<ReadonlyArray<string>, never, R>
  readonly tools: (server: string) => Effect.Effect<ReadonlyArray<Candidate>, never, R>
  readonly prompts: (server: string) => Effect.Effect<ReadonlyArray<Candidate>, never, R>
  readonly resources: (server: string) => Effect.Effect<ReadonlyArray<Candidate>, never, R>
  /** The arguments of a tool or prompt, as `key=` and, after that, as `key=value`. */
  readonly args: (options: {
    readonly kind: "tool" | "prompt"
    readonly server: string
    readonly item: string
    readonly partial: string
  }) => Effect.Effect<ReadonlyArray<Candidate>, never, R>
}

/** The names of a flag. The negative one is offered when it is begun. */
const flagNames = (...[flag, partial]: readonly [FlagDescriptor, string]): ReadonlyArray<Candidate> => {
  const { description, name, negation = `no-${name}`, type } = flag
  const isNegative = type._tag === "Boolean" && negation !== false && partial.startsWith("--no-")
  return [name, ...(isNegative ? [negation] : [])].map((name) => ({ value: `--${name}`, description }))
}

interface Position {
  readonly command: CommandDescriptor
  readonly positional: ReadonlyArray<string>
  /** The flag whose value comes next. */
  readonly flag: FlagDescriptor | undefined
}

const namesOf = ({ aliases, name }: FlagDescriptor): ReadonlyArray<string> => [
  `--${name}`,
  ...aliases.map((alias) => alias.startsWith("-") ? alias : alias.length === 1 ? `-${alias}` : `--${alias}`)
]

/** Follows the complete words through the commands. */
const positionOf = (...[tree, words]: readonly [CommandDescriptor, ReadonlyArray<string>]): Position => {
  let command = tree
  const flags = [...tree.flags]
  let flag: FlagDescriptor | undefined
  const positional: Array<string> = []
  for (const word of words) {
    if (flag !== undefined) {
      flag = undefined
    } else if (word.startsWith("-") && word !== "-") {
      const named = flags.find((one) => namesOf(one).includes(word))
      flag = named?.type._tag === "Boolean" || named?.optionalValue === true ? undefined : named
    } else {
      const below = positional.length === 0 ? command.subcommands.find(({ name }) => name === word) : undefined
      if (below === undefined) positional.push(word)
      else {
        command = below
        flags.push(...below.flags)
      }
    }
  }
  return { command: { ...command, flags }, positional, flag }
}

const startingWith = (
  ...[candidates, partial]: readonly [ReadonlyArray<Candidate>, string]
): ReadonlyArray<Candidate> => {
  const distinct = new Map(candidates.map((candidate) => [candidate.value, candidate]))
  // A name with a control character would end its line in a script.
  return [...distinct.values()].filter(({ value }) => value.startsWith(partial) && !/\p{Cc}/u.test(value))
}

/** Completes `server/item`: the server first, with a slash, then the item. */
const items = <R>(
  sources: Sources<R>,
  list: (server: string) => Effect.Effect<ReadonlyArray<Candidate>, never, R>,
  partial: string
): Effect.Effect<ReadonlyArray<Candidate>, never, R> =>
  Effect.flatMap(sources.servers, (servers) => {
    const server = servers.filter((name) => partial.startsWith(`${name}/`)).toSorted((a, b) => b.length - a.length)[0]
    if (server === undefined) return Effect.succeed(servers.map((name) => ({ value: `${name}/` })))
    return Effect.map(
      list(server),
      (found) => found.map(({ description, value }) => ({ value: `${server}/${value}`, description }))
    )
  })

/** Commands whose first argument is a server alone, and those where it is a server and an item. */
const kindOf = ({ arguments: [argument] }: CommandDescriptor): "server" | "tool" | "prompt" | undefined => {
  if (argument === undefined) return undefined
  if (argument.name.includes("tool")) return "tool"
  if (argument.name.includes("prompt")) return "prompt"
  return argument.name.startsWith("server") ? "server" : undefined
}

const positionals = <R>(options: {
  readonly position: Position
  readonly partial: string
  readonly sources: Sources<R>
}): Effect.Effect<ReadonlyArray<Candidate>, never, R> => {
  const { partial, position: { command, positional }, sources } = options
  const kind = kindOf(command)
  const named = Effect.map(sources.servers, (servers): ReadonlyArray<Candidate> => servers.map((value) => ({ value })))
  const [target] = positional
  if (kind === undefined) return Effect.succeed([])
  if (kind === "server") {
    return target !== undefined && command.name === "read" ? sources.resources(target) : named
  }
  if (target === undefined) {
    const list = items(sources, kind === "tool" ? sources.tools : sources.prompts, partial)
    // `tools` takes a server alone, too.
    return command.name === "tools"
      ? Effect.zipWith(named, list, (servers, found) => partial.includes("/") ? found : [...servers, ...found])
      : list
  }
  return Effect.flatMap(sources.servers, (servers) => {
    const server = servers.filter((name) => target.startsWith(`${name}/`)).toSorted((a, b) => b.length - a.length)[0]
    return server === undefined
      ? Effect.succeed([])
      : sources.args({ kind, server, item: target.slice(server.length + 1), partial })
  })
}

/**
 * Completes the last of the words, which may be empty.
 *
 * @category running
 * @since 0.1.0
 */
export const complete = <R>(options: {
  readonly tree: CommandDescriptor
  readonly words: ReadonlyArray<string>
  readonly sources: Sources<R>
}): Effect.Effect<ReadonlyArray<Candidate>, never, R> => {
  const { sources, tree, words } = options
  const partial = words.at(-1) ?? ""
  const before = words.slice(0, -1)
  // The words after `--` are a command of another program.
  if (before.includes("--")) return Effect.succeed([])
  const position = positionOf(tree, before)
  const { command, flag, positional } = position
  const valuesOf = ({ type }: FlagDescriptor): ReadonlyArray<string> => type._tag === "Choice" ? type.values : []
  const [, attached, start = ""] = /^(--[^=]+)=(.*)$/s.exec(partial) ?? []
  const all = flag !== undefined
    ? Effect.succeed(valuesOf(flag).map((value): Candidate => ({ value })))
    : attached !== undefined
    ? Effect.succeed(
      command.flags.filter((one) => namesOf(one).includes(attached)).flatMap(valuesOf)
        .filter((value) => value.startsWith(start)).map((value): Candidate => ({ value: `${attached}=${value}` }))
    )
    : partial.startsWith("-")
    ? Effect.succeed(command.flags.flatMap((flag) => flagNames(flag, partial)))
    : command.subcommands.length > 0 && positional.length === 0
    ? Effect.succeed(
      command.subcommands.map(({ description, name }): Candidate => ({ value: name, description }))
    )
    : positionals({ position, partial, sources })
  return Effect.map(all, (candidates) => startingWith(candidates, partial))
}
