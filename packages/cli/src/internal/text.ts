/**
 * Text as programs and terminals see it.
 */
export { stripVTControlCharacters } from "node:util"

/** The JSON of a value that holds nothing but what JSON has. */
export const toJson = (...[value, indentation]: readonly [value: unknown, indentation?: number]): string =>
  JSON.stringify(value, undefined, indentation)
