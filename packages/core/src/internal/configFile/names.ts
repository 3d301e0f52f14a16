/**
 * Gives every server of a configuration one name.
 *
 * Within one program, the nearest file decides what a name means. Across programs, equal definitions are one server, and different definitions
 * are different servers, which need longer names.
 */
import * as Equal from "effect/Equal"
import * as Result from "effect/Result"
import type { ConfigError } from "../../ConfigError.ts"
import type { ServerConfig } from "../../ServerConfig.ts"
import type { Entry } from "./entry.ts"

/** An entry with its definition, or its problems. */
export interface Resolved {
  readonly entry: Entry
  readonly definition: Result.Result<ServerConfig, ConfigError>
}

/** A server under its name, and the other entries that its name stands for. */
interface Named {
  readonly name: string
  readonly server: Resolved
  readonly replaced: ReadonlyArray<Resolved>
}

interface Naming {
  readonly named: ReadonlyArray<Named>
  /** Entries that a nearer file replaces. */
  readonly shadowed: ReadonlyArray<Resolved>
  readonly ambiguous: ReadonlyMap<string, ReadonlyArray<string>>
}

/** What an entry says, for entries that cannot be decoded: without its place. */
const writtenText = ({ entry: { draft } }: Resolved): string => JSON.stringify([draft.raw, draft.envFile])

const isSame = (a: Resolved, b: Resolved): boolean =>
  Result.isSuccess(a.definition) && Result.isSuccess(b.definition)
    ? Equal.equals(a.definition.success, b.definition.success)
    : writtenText(a) === writtenText(b)

const addressOf = ({ entry: { file, name } }: Resolved): string => `${file.client}:${name}`

/** The name of an entry by its file. */
export const fileAddressOf = ({ entry: { file, name } }: Resolved): string => `${file.source}:${name}`

/** The other names of an entry. */
export const aliasesOf = (resolved: Resolved): ReadonlyArray<string> => {
  const { entry: { file, name } } = resolved
  return [...new Set([addressOf(resolved), fileAddressOf(resolved), `${file.path}:${name}`])]
}

/** Groups values by key, in order of first appearance. */
const grouped = <A>(values: ReadonlyArray<A>, keyOf: (value: A) => string): ReadonlyArray<ReadonlyArray<A>> => {
  const groups = new Map<string, Array<A>>()
  for (const value of values) {
    const group = groups.get(keyOf(value))
    if (group === undefined) groups.set(keyOf(value), [value])
    else group.push(value)
  }
  return [...groups.values()]
}

/** Splits the entries of one name into those that a nearer file of the same program replaces, and the others. Files that the caller names are equal. */
const visible = (group: ReadonlyArray<Resolved>) => {
  const nearest = grouped(
    group,
    ({ entry: { file, scope } }) => scope === "explicit" ? `file:${file.path}` : `client:${file.client}`
  )
  return {
    visible: nearest.flatMap(([first]) => first === undefined ? [] : [first]),
    shadowed: nearest.flatMap(([, ...rest]) => rest)
  }
}

/** Joins equal definitions. A disabled one stands back behind others. */
const distinct = (group: ReadonlyArray<Resolved>): ReadonlyArray<ReadonlyArray<Resolved>> => {
  const sets: Array<Array<Resolved>> = []
  for (const one of group) {
    const set = sets.find(([first]) => first !== undefined && isSame(first, one))
    if (set === undefined) sets.push([one])
    else set.push(one)
  }
  return sets
}

/** A file of a project that is not trusted does not take a server from the user that defines it in the same way. */
const usableFirst = (set: ReadonlyArray<Resolved>): ReadonlyArray<Resolved> => {
  const usable = set.find(({ definition }) => Result.isSuccess(definition))
  return usable === undefined ? set : [usable, ...set.filter((one) => one !== usable)]
}

const isEnabled = ([first]: ReadonlyArray<Resolved>): boolean => first?.entry.isDisabled === false

/** Names the entries, which are given nearest first. */
export const nameEntries = (resolved: ReadonlyArray<Resolved>): Naming => {
  const ambiguous = new Map<string, ReadonlyArray<string>>()
  const shadowed: Array<Resolved> = []
  const named = grouped(resolved, ({ entry: { name } }) => name).flatMap((group): ReadonlyArray<Named> => {
    const name = group[0]?.entry.name ?? ""
    const split = visible(group)
    shadowed.push(...split.shadowed)
    const sets = distinct(split.visible)
    const enabled = sets.filter(isEnabled)
    const plain = sets.length === 1 ? sets[0] : enabled.length === 1 ? enabled[0] : undefined
    const clientCount = new Map<string, number>()
    for (const [first] of sets) {
      if (first !== undefined) clientCount.set(addressOf(first), (clientCount.get(addressOf(first)) ?? 0) + 1)
    }
    const longName = (one: Resolved) => clientCount.get(addressOf(one)) === 1 ? addressOf(one) : fileAddressOf(one)
    if (plain === undefined) {
      ambiguous.set(
        name,
        (enabled.length > 0 ? enabled : sets).flatMap(([first]) => first === undefined ? [] : [longName(first)])
      )
    }
    return sets.flatMap((set) => {
      const [server, ...replaced] = usableFirst(set)
      return server === undefined ? [] : [{ name: set === plain ? name : longName(server), server, replaced }]
    })
  })
  return { named, shadowed, ambiguous }
}
