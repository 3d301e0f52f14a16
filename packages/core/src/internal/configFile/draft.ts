/**
 * A definition while it is translated from the form of another program: what the decoder is given, and where in the document each part of it
 * comes from.
 */
import { type ConfigProblem, ConflictingKeys, InvalidValue } from "../../ConfigError.ts"
import { type ConfigWarning, IgnoredKey, ImplausibleTimeout } from "../../ConfigWarning.ts"
import type { Path } from "./node.ts"

type Raw = Record<string, unknown>

/** The file and the server of a definition, and the path of its entry in the document. */
export interface EntryPlace {
  readonly source: string
  readonly server: string
  readonly path: ReadonlyArray<string>
}

interface Origin {
  /** The path in the definition. */
  readonly to: Path
  /** The path in the entry. */
  readonly from: Path
}

const startsWith = (path: Path, start: Path): boolean => start.every((key, index) => path[index] === key)

export class Draft {
  /** What the decoder is given. */
  readonly raw: Raw = {}
  readonly problems: Array<ConfigProblem> = []
  readonly warnings: Array<ConfigWarning> = []
  /** The env file of the server, as written. */
  envFile: string | undefined
  readonly place: EntryPlace
  readonly #origins: Array<Origin> = []

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
    this.#origins.push({ to: [key], from })
  }

  /** Sets a member of an object, such as one header. An earlier value stays. */
  setMember(key: string, member: string, value: unknown, from: Path): void {
    const object = this.raw[key]
    const members: Raw = typeof object === "object" && object !== null && !Array.isArray(object) ? { ...object } : {}
    if (object !== undefined && Object.hasOwn(members, member)) {
      this.problems.push(new ConflictingKeys({ ...this.at(from), keys: [member, String(from[0])] }))
      return
    }
    this.raw[key] = { ...members, [member]: value }
    this.#origins.push({ to: [key, member], from })
  }

  /** The path in the entry that a path in the definition comes from. */
  originOf(path: Path): Path {
    const origin = this.#origins.toSorted((a, b) => b.to.length - a.to.length).find(({ to }) => startsWith(path, to))
    return origin === undefined ? path : [...origin.from, ...path.slice(origin.to.length)]
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

  implausible(path: Path, unit: "milliseconds" | "seconds"): void {
    this.warnings.push(new ImplausibleTimeout({ ...this.at(path), key: String(path.at(-1) ?? ""), unit }))
  }
}
