/**
 * A definition while it is translated from the form of another program: what the decoder is given, and where in the document each part of it
 * comes from.
 */
import * as Predicate from "effect/Predicate"
import { type ConfigProblem, ConflictingKeys, InvalidValue } from "../../ConfigError.ts"
import { type ConfigWarning, IgnoredKey, ImplausibleTimeout } from "../../ConfigWarning.ts"
import type { Path } from "./node.ts"

type Raw = Record<string, unknown>

/** What a number counts that gives a duration. */
export type TimeUnit = "milliseconds" | "seconds"

/** The file and the server of a definition, and the path of its entry in the document. */
export interface EntryPlace {
  readonly source: string
  readonly server: string
  readonly path: ReadonlyArray<string>
}

const isRaw = (value: unknown): value is Raw => Predicate.isObject(value)

export class Draft {
  /** What the decoder is given. */
  readonly raw: Raw = {}
  readonly problems: Array<ConfigProblem> = []
  readonly warnings: Array<ConfigWarning> = []
  /** The env file of the server, as written. */
  envFile: string | undefined
  readonly place: EntryPlace
  /** The path in the entry of each key of `raw`, and of each member that was set on its own. */
  readonly #origins = new Map<string, { readonly from: Path; readonly members: Map<string, Path> }>()
  /** The units in which the document gives the durations of keys of `raw`. */
  readonly #units = new Map<string, TimeUnit>()
  /** The objects that were made here. All others are parts of the entry as it is written. */
  readonly #collected = new Set<Raw>()

  constructor(place: EntryPlace) {
    this.place = place
  }

  /** Sets a key. `from` is the path in the entry that says so. */
  set(key: string, value: unknown, from: Path): void {
    if (Object.hasOwn(this.raw, key)) {
      this.problems.push(
        new ConflictingKeys({ ...this.at([]), keys: [String(this.originOf([key])[0]), String(from[0])] })
      )
      return
    }
    this.raw[key] = value
    this.#origins.set(key, { from, members: new Map() })
  }

  /** Sets a duration that the document gives in a unit. The value is in milliseconds, unless it is no number. */
  setDuration(key: string, value: unknown, { from, unit }: { readonly from: Path; readonly unit: TimeUnit }): void {
    if (!Object.hasOwn(this.raw, key)) this.#units.set(key, unit)
    this.set(key, value, from)
  }

  /** Sets a member of an object, such as one header. An earlier value stays. */
  setMember(key: string, member: string, value: unknown, from: Path): void {
    const members = this.#collect(key)
    if (Object.hasOwn(members, member)) {
      this.problems.push(new ConflictingKeys({ ...this.at(from), keys: [member, String(from[0])] }))
      return
    }
    // A member such as `__proto__` is an ordinary one.
    Object.defineProperty(members, member, { value, enumerable: true, configurable: true, writable: true })
    const origin = this.#origins.get(key) ?? { from: [key], members: new Map<string, Path>() }
    this.#origins.set(key, origin)
    origin.members.set(member, from)
  }

  /** The object of a key, which may get more members. */
  #collect(key: string): Raw {
    const object = this.raw[key]
    if (isRaw(object) && this.#collected.has(object)) return object
    const members = isRaw(object) ? { ...object } : {}
    this.#collected.add(members)
    this.raw[key] = members
    return members
  }

  /** The path in the entry that a path in the definition comes from. */
  originOf(path: Path): Path {
    const [key = "", member = "", ...rest] = path
    const origin = this.#origins.get(String(key))
    if (origin === undefined) return path
    const ofMember = origin.members.get(String(member))
    return ofMember === undefined ? [...origin.from, ...path.slice(1)] : [...ofMember, ...rest]
  }

  /** The unit in which the document gives the duration at a path in the definition; `undefined` for our own keys. */
  unitOf(path: Path): TimeUnit | undefined {
    return this.#units.get(String(path[0]))
  }

  /** The place of a path in the entry, for problems and warnings. */
  at(path: Path) {
    return { ...this.place, path: [...this.place.path, ...path] }
  }

  invalid(path: Path, expected: string): void {
    this.problems.push(new InvalidValue({ ...this.at(path), expected }))
  }

  ignored(path: Path, advice?: string): void {
    this.warnings.push(new IgnoredKey({ ...this.at(path), key: String(path.at(-1) ?? ""), advice }))
  }

  implausible(path: Path, unit: TimeUnit): void {
    this.warnings.push(new ImplausibleTimeout({ ...this.at(path), key: String(path.at(-1) ?? ""), unit }))
  }
}
