/**
 * Keeps configured secrets out of text that others wrote, such as what a server prints to stderr.
 */
import { Buffer } from "node:buffer"

/** Shorter values are flags and numbers; replacing them would garble the text and protect nothing. */
const shortest = 4

/** What stands where a secret was. */
export const mark = "<redacted>"

/** The shapes in which a secret gets around: as it is, in a URL, in base64, and a token without its scheme. */
const shapesOf = (secret: string): ReadonlyArray<string> => {
  const token = /^(?:Basic|Bearer) +(\S+)$/i.exec(secret)?.[1]
  return [secret, ...(token === undefined ? [] : [token])].flatMap((secret) => [
    secret,
    encodeURIComponent(secret),
    Buffer.from(secret).toString("base64")
  ])
}

/** Makes a function that replaces every occurrence of the secrets. */
export const make = (secrets: ReadonlyArray<string>): (text: string) => string => {
  const hidden = secrets.filter((secret) => secret.length >= shortest).flatMap(shapesOf).toSorted((a, b) =>
    b.length - a.length
  )
  return (text) => hidden.reduce((text, secret) => text.replaceAll(secret, mark), text)
}
