/**
 * Explains where a text is not JSON, for people who type or paste it.
 *
 * **Example** (Locating a fault)
 *
 * ```ts import.meta.vitest
 * import { JsonDocument } from "@mcp-sessions/core"
 *
 * JsonDocument.faultOf("{\"a\": 1,}") // => { line: 1, column: 9, expected: "a key in double quotes" }
 * JsonDocument.faultOf("{\"a\": 1}") // => undefined
 * ```
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import { parseJson } from "./internal/configFile/jsonText.ts"
import { positionsIn } from "./internal/configFile/node.ts"

/**
 * The first fault of a text. Line and column are counted from 1.
 *
 * @category models
 * @since 0.1.0
 */
export interface JsonFault {
  /** The line, from 1. */
  readonly line: number
  /** The column, from 1. */
  readonly column: number
  /** What JSON allows at that place. */
  readonly expected: string
}

/**
 * Returns where a text is not JSON in the strict sense, without comments and trailing commas. `undefined`: the text is JSON. More than 64 levels of
 * lists and objects are a fault, too.
 *
 * @category decoding
 * @since 0.1.0
 */
export const faultOf = (text: string): JsonFault | undefined =>
  Result.match(parseJson(text, "strict"), {
    onSuccess: () => undefined,
    onFailure: ({ expected, offset }) => ({ ...positionsIn(text)(offset), expected })
  })
