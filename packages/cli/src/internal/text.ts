/**
 * Converts text for programs and terminals.
 */
export { stripVTControlCharacters } from "node:util"

/** Encodes a value that consists of JSON types only. */
export const toJson = (...[value, indentation]: readonly [value: unknown, indentation?: number]): string =>
  JSON.stringify(value, undefined, indentation)
