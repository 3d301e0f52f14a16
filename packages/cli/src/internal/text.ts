/**
 * Converts text for programs and terminals.
 */
export { stripVTControlCharacters } from "node:util"

/** Returns the first line of a text. */
export const firstLine = (text: string): string => text.split("\n", 1)[0] ?? ""

/** Encodes a value that consists of JSON types only. */
export const toJson = (...[value, indentation]: readonly [value: unknown, indentation?: number]): string =>
  JSON.stringify(value, undefined, indentation)
