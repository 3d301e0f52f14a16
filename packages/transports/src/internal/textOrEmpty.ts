/**
 * Reads a text out of JSON that a peer has sent; anything else is empty.
 *
 * `String` is not safe there: it throws for an object whose `toString` is not a function, and JSON can hold such an object.
 */
export const textOrEmpty = (value: unknown): string => typeof value === "string" ? value : ""
