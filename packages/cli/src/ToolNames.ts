/**
 * Names of the tools that servers had when they were last listed, for completion: a completion connects to nothing.
 *
 * Each server has a file of its own, which only its user can read. The name of the file is a hash of the definition as it is written, so another
 * definition has other tools.
 *
 * @since 0.1.0
 */
import type { Tool } from "@mcp-sessions/core/Mcp"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { ConfiguredServer } from "./Configured.ts"
import { hashOf } from "./internal/hash.ts"
import { cachePath } from "./internal/paths.ts"
import { readRegularFile } from "./internal/regularFile.ts"
import { makePrivateDirectory, replaceFile } from "./internal/replaceFile.ts"
import { isJsonObject, textOf } from "./internal/text.ts"
import { Invocation } from "./Invocation.ts"

/** How many names of a server are kept. */
const limit = 2000

/** The longest name that is kept, in characters. */
const lengthLimit = 200

const Names = Schema.fromJsonString(Schema.Array(Schema.String))

const encodeNames = Schema.encodeSync(Names)

const encodeDefinition = Schema.encodeSync(Schema.fromJsonString(Schema.Unknown))

const directoryOf = Effect.map(Invocation, ({ environment }) => cachePath(environment, "tools"))

const fileOf = ({ entry, name }: Pick<ConfiguredServer, "entry" | "name">): string =>
  `${hashOf(encodeDefinition([name, entry?.written]))}.json`

/**
 * Reads the names of the tools of a server, none if they were never listed.
 *
 * @category decoding
 * @since 0.1.0
 */
export const read = Effect.fnUntraced(function*(
  server: Pick<ConfiguredServer, "entry" | "name">
): Effect.fn.Return<ReadonlyArray<string>, never, Invocation> {
  const directory = yield* directoryOf
  const text = yield* Effect.option(readRegularFile({ directory, path: fileOf(server), mebibytes: 1 }))
  const names = Option.flatMap(text, Schema.decodeOption(Names))
  return Option.getOrElse(names, () => [])
})

/**
 * Keeps the names of the tools of a server. Without a place to keep them, does nothing: completions are a convenience.
 *
 * @category encoding
 * @since 0.1.0
 */
export const remember = Effect.fnUntraced(function*(
  server: Pick<ConfiguredServer, "entry" | "name">,
  tools: ReadonlyArray<Tool>
): Effect.fn.Return<void, never, Invocation> {
  const names = tools.flatMap((tool: unknown) => isJsonObject(tool) ? [textOf(tool.name)] : [])
    .filter((name) => name !== undefined).filter(({ length }) => length <= lengthLimit).slice(0, limit)
  const directory = yield* directoryOf
  const text = encodeNames(names)
  const path = fileOf(server)
  yield* makePrivateDirectory(directory).pipe(
    Effect.andThen(readRegularFile({ directory, path, mebibytes: 1 }).pipe(Effect.orElseSucceed(() => ""))),
    Effect.flatMap((before) => before === text ? Effect.void : replaceFile({ directory, path, text, mode: 0o600 })),
    Effect.ignore
  )
})
