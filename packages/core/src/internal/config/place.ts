/**
 * The place of a problem or warning: its file, its position there, its server, and the keys that lead to it.
 */
import * as Schema from "effect/Schema"
import { closest } from "../../Suggestion.ts"
import { andList } from "./nameList.ts"

/** A position in a text, both counted from 1. */
export const Position = Schema.Struct({ line: Schema.Int, column: Schema.Int })

/** The fields that every problem and warning has. */
export const where = {
  /** The file or other origin of the configuration. */
  source: Schema.optional(Schema.String),
  /** The position in the file, both counted from 1. */
  position: Schema.optional(Position),
  /** The name of the server definition that has the problem. */
  server: Schema.optional(Schema.String),
  /** The keys that lead to the problem, outermost first. Empty: the document itself. */
  path: Schema.Array(Schema.Union([Schema.String, Schema.Finite]))
}

/** The texts that every problem and warning has. */
export interface Described {
  /** The problem alone, for programs that show its place themselves. */
  readonly description: string
  /** The problem, after the source, the server and the JSON path. */
  readonly message: string
}

interface Place {
  readonly source?: string | undefined
  readonly position?: typeof Position.Type | undefined
  readonly server?: string | undefined
  readonly path: ReadonlyArray<string | number>
}

/** A list of names that are valid in some place. */
export const names = Schema.Array(Schema.String)

/** Renders keys as a JSON path. */
export const jsonPath = (path: ReadonlyArray<string | number>): string =>
  path.reduce<string>(
    (text, key) =>
      typeof key === "string" && /^[A-Za-z_$][\w$]*$/.test(key)
        ? `${text}.${key}`
        : `${text}[${JSON.stringify(key)}]`,
    "$"
  )

/** Puts the place in front of a description. A problem without a path names its server in the description. */
export const at = ({ path, position, server, source }: Place, description: string): string => {
  const inServer = server === undefined ? "" : `server ${JSON.stringify(server)} at `
  return [
    ...(source === undefined
      ? []
      : [position === undefined ? source : `${source}:${position.line}:${position.column}`]),
    ...(path.length === 0 ? [] : [`${inServer}${jsonPath(path)}`]),
    description
  ].join(": ")
}

/** The valid name that is probably meant, or else all of them. */
export const adviceFor = (name: string, validNames: ReadonlyArray<string>, listed: string): string => {
  const suggestion = closest(name, validNames)
  return suggestion === undefined ? `${listed} ${andList(validNames)}` : `did you mean ${JSON.stringify(suggestion)}?`
}

/** The last key of a path, with the index where it leads into a list. */
export const subjectOf = (path: ReadonlyArray<string | number>): string => {
  const last = path.at(-1)
  return last === undefined
    ? "the value"
    : typeof last === "number"
    ? JSON.stringify(`${path.at(-2) ?? ""}[${last}]`)
    : JSON.stringify(last)
}
