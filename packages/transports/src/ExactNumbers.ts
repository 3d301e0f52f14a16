/**
 * JSON numbers that JavaScript cannot hold, such as identifiers of 64 bits, passed on digit by digit.
 *
 * **Details**
 *
 * Arguments: {@link parse} and {@link fromDecimal} give such a number as raw JSON, an object that `JSON.stringify` and all transports encode
 * as it was written. Every other number is an ordinary one.
 *
 * Results: after {@link keep}, {@link stringify} encodes the numbers of a result as the server wrote them. The result itself holds ordinary
 * numbers, as close as JavaScript comes.
 *
 * **Gotchas**
 *
 * A copy of an object of a result holds what JavaScript holds: only the objects that a call gave are known.
 *
 * @since 0.1.0
 */
import * as Option from "effect/Option"
import * as exactNumbers from "./internal/exactNumbers.ts"

/**
 * A number as it was written, which `JSON.stringify` encodes unchanged.
 *
 * @category models
 * @since 0.1.0
 */
export interface RawNumber {
  /** The digits as they were written. */
  readonly rawJSON: string
}

/**
 * Whether a value is a {@link RawNumber}.
 *
 * @category guards
 * @since 0.1.0
 */
export const isRawNumber = (value: unknown): value is RawNumber => exactNumbers.isRaw(value)

/**
 * Whether a value is a whole number, raw or not.
 *
 * @category guards
 * @since 0.1.0
 */
export const isWhole = (value: unknown): boolean =>
  isRawNumber(value) ? exactNumbers.isWhole(value.rawJSON) : Number.isInteger(value)

/**
 * Reads a decimal number in the notation of JSON: as a number where JavaScript holds exactly what was written, otherwise raw.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromDecimal = (decimal: string): number | RawNumber => exactNumbers.fromDecimal(decimal)

/**
 * Parses JSON. A number that JavaScript cannot hold becomes a {@link RawNumber}. `None`: the text is not JSON.
 *
 * **Example** (Passing a large identifier on)
 *
 * ```ts import.meta.vitest
 * import { ExactNumbers } from "@mcp-sessions/transports"
 * import { Option } from "effect"
 *
 * const args = Option.getOrThrow(ExactNumbers.parse("{\"id\":9007199254740993}"))
 * JSON.stringify(args) // => "{\"id\":9007199254740993}"
 * ```
 *
 * @category decoding
 * @since 0.1.0
 */
export const parse: (json: string) => Option.Option<unknown> = Option.liftThrowable(exactNumbers.parseRaw)

/**
 * Keeps numbers of messages as servers write them, for {@link stringify}, from now until the process ends. Messages with such numbers take
 * longer to parse; without this, no message does. A gateway does this, too.
 *
 * @category decoding
 * @since 0.1.0
 */
export const keep = (): void => exactNumbers.keep()

/**
 * Encodes a value that consists of JSON types as JSON, with an indentation of `indentation` spaces; default: on one line.
 *
 * @category encoding
 * @since 0.1.0
 */
export const stringify = (
  ...[value, indentation = 0]: readonly [value: unknown, indentation?: number]
): string => exactNumbers.stringify(value, indentation) ?? "null"
