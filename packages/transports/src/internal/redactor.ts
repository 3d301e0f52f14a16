/**
 * Keeps configured secrets out of text that others wrote, such as what a server prints to stderr.
 */

/** Shorter values are flags and numbers; replacing them would garble the text and protect nothing. */
const shortest = 4

/** Makes a function that replaces every occurrence of the secrets. */
export const make = (secrets: ReadonlyArray<string>): (text: string) => string => {
  const hidden = secrets.filter((secret) => secret.length >= shortest).toSorted((a, b) => b.length - a.length)
  return (text) => hidden.reduce((text, secret) => text.replaceAll(secret, "<redacted>"), text)
}
