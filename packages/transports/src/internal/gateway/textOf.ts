/**
 * Text of a value that a client has sent. `String` throws on objects whose `toString` is no function, and JSON can hold such objects.
 */
export const textOf = (value: unknown): string => typeof value === "string" ? value : ""
