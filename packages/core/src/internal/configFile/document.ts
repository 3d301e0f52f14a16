/**
 * Reads and parses one configuration file.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { type ConfigProblem, DuplicateKey, InvalidSyntax, MissingDocument, ReservedKey } from "../../ConfigError.ts"
import { type FileRefused, Host } from "../../Host.ts"
import { parseJson, type SyntaxFault } from "./jsonText.ts"
import { type KeyFault, type Node, type Position, positionsIn } from "./node.ts"

/** The largest configuration file, in bytes. Some programs keep their history in the file, too. */
const byteLimit = 8 * 1024 ** 2

const parserOf = (path: string): Effect.Effect<(text: string) => Result.Result<Node, SyntaxFault>> =>
  path.endsWith(".toml")
    ? Effect.map(Effect.promise(() => import("./tomlText.ts")), ({ parseToml }) => parseToml)
    : Effect.succeed((text) => parseJson(text, "lenient"))

/** A parsed file. */
export interface Document {
  readonly path: string
  /** The path for people. */
  readonly source: string
  readonly text: string
  readonly tree: Node
  /** The position of an offset in the text. */
  readonly positionOf: (offset: number) => Position
}

/** The text of a file, or the reason why it cannot be read. */
export type ReadOutcome =
  | { readonly _tag: "Missing"; readonly refused: FileRefused }
  | { readonly _tag: "Problem"; readonly problem: ConfigProblem }
  | { readonly _tag: "Document"; readonly document: Document }

/** The problem of a file that cannot be read. */
export const unreadable = (source: string, { message }: FileRefused): ConfigProblem =>
  new MissingDocument({ source, path: [], fact: message })

/** Reads a file. An empty one is an empty object. */
export const readDocument = (
  file: { readonly path: string; readonly source: string }
): Effect.Effect<ReadOutcome, never, Host> =>
  Effect.gen(function*() {
    const { path, source } = file
    const host = yield* Host
    const read = yield* Effect.result(host.readFile(path, byteLimit))
    if (Result.isFailure(read)) {
      const refused = read.failure
      return refused.reason === "Missing"
        ? { _tag: "Missing", refused }
        : { _tag: "Problem", problem: unreadable(source, refused) }
    }
    const text = read.success
    const positionOf = positionsIn(text)
    const documentOf = (tree: Node): ReadOutcome => ({
      _tag: "Document",
      document: { path, source, text, tree, positionOf }
    })
    if (text.trim() === "") return documentOf({ kind: "object", offset: 0, members: [] })
    const parse = yield* parserOf(path)
    return Result.match(parse(text), {
      onSuccess: documentOf,
      onFailure: ({ expected, offset }): ReadOutcome => ({
        _tag: "Problem",
        problem: new InvalidSyntax({ source, path: [], expected, position: positionOf(offset) })
      })
    })
  })

/** The problem of a key that occurs twice or is reserved. */
export const keyProblem = ({ document: { positionOf, source }, fault, server }: {
  readonly document: Document
  readonly fault: KeyFault
  readonly server?: string
}): ConfigProblem => {
  const place = { source, server, path: fault.path, position: positionOf(fault.offset) }
  return fault.kind === "duplicate"
    ? new DuplicateKey({ ...place, first: positionOf(fault.first) })
    : new ReservedKey(place)
}
