/**
 * Lists names in sentences of error messages.
 */

const listWith = (conjunction: string) => (names: ReadonlyArray<string>): string =>
  names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} ${conjunction} ${names.at(-1)}`

/** Joins names as "a, b or c". */
export const orList = listWith("or")

/** Joins names as "a, b and c". */
export const andList = listWith("and")
