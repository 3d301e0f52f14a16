/**
 * Removes configured secrets from text of others: of a server, such as its stderr, or of the platform.
 *
 * **Details**
 *
 * A secret is found as it is written, in other cases of its letters, and as servers quote it: in JSON, in a URL, in HTML, in base64. Its
 * parts count too: the token without its scheme, the password of a URL, the values of a query or a cookie, the lines of a key. Text that was
 * cut in the middle of a secret is cut before it.
 */
import { Buffer } from "node:buffer"
import { cutFinderOf } from "./cutSecret.ts"
import { finderOf, isPlain, lowered, type Span } from "./quotedSecret.ts"

/** Replaces a secret. */
export const mark = "<redacted>"

/** The shortest secret. */
const shortest = 4

/** The shortest part of a secret that is replaced on its own. */
const shortestPart = 8

/** The shortest line or value of an object that is replaced on its own. */
const shortestLine = 12

const isPart = (part: string): boolean => part.length >= shortestPart && !isPlain(part)

/** Returns the token of credentials with a scheme, and what a Basic token encodes. */
const tokensOf = (secret: string): ReadonlyArray<string> => {
  const [, scheme = "", token] = /^([A-Za-z][A-Za-z0-9-]{2,15}) +(\S+)$/.exec(secret) ?? []
  if (token === undefined || token.length < shortest) return []
  if (scheme.toLowerCase() !== "basic") return [token]
  const pair = Buffer.from(token, "base64").toString("utf8")
  return [token, pair, pair.slice(pair.indexOf(":") + 1)].filter((part) => part.length >= shortest)
}

const decoded = (text: string): string => {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** Returns the password and the query of a URL, such as that of a database. */
const partsOfUrl = (secret: string): ReadonlyArray<string> => {
  if (!/^[a-z][a-z0-9+.-]*:\/\//i.test(secret) || !URL.canParse(secret)) return []
  const { password, search } = new URL(secret)
  const passwords = [password, decoded(password)].filter((part) => part.length >= shortest)
  return [...passwords, ...(search.length > shortest ? [search.slice(1)] : [])]
}

/** Returns the values of a list of pairs: a query, a cookie, a connection string. */
const valuesOf = (secret: string): ReadonlyArray<string> =>
  Array.from(secret.matchAll(/(?:^|[&;,?\s])[\w.-]+=([^&;,?\s]+)/g), ([, value = ""]) => [value, decoded(value)])
    .flat()
    .filter(isPart)

/** Returns a secret and the secrets within it. */
const partsOf = (secret: string): ReadonlyArray<string> => {
  const lines = /[\r\n]/.test(secret) ? secret.split(/[\r\n]+/) : []
  const values = secret.startsWith("{")
    ? [...secret.matchAll(/"((?:[^"\\]|\\.)*)"/g)].map(([, value = ""]) => value)
    : []
  const long = [...lines, ...values.flatMap((value) => [value, ...value.split("\\n")])]
  return [
    secret,
    secret.trim(),
    ...tokensOf(secret),
    ...partsOfUrl(secret),
    ...valuesOf(secret),
    ...long.filter((part) => part.length >= shortestLine)
  ]
}

// -----------------------------------------------------------------------------
// Encodings
// -----------------------------------------------------------------------------

const base64 = (text: string): string => Buffer.from(text).toString("base64").replace(/=+$/, "")

const base64Url = (text: string): string => base64(text).replaceAll("+", "-").replaceAll("/", "_")

const escaped = (text: string): string => JSON.stringify(text).slice(1, -1)

/** How much of a long secret is found on its own. */
const chunk = 1024

/** Splits a long secret. The last piece overlaps the one before it: a short piece would be found anywhere. */
const chunksOf = (text: string): ReadonlyArray<string> =>
  text.length <= chunk
    ? [text]
    : Array.from(
      { length: Math.ceil(text.length / chunk) },
      (_, index) => text.slice(Math.min(index * chunk, text.length - chunk)).slice(0, chunk)
    )

// -----------------------------------------------------------------------------
// Replacement
// -----------------------------------------------------------------------------

/** Replaces the spans. Those that overlap are replaced at once. */
const replaced = (text: string, spans: ReadonlyArray<Span>): string => {
  const merged: Array<[from: number, to: number]> = []
  for (const [from, to] of spans.toSorted(([a], [b]) => a - b)) {
    const last = merged.at(-1)
    if (last !== undefined && from < last[1]) last[1] = Math.max(last[1], to)
    else merged.push([from, to])
  }
  const kept = merged.map(([from], index) => text.slice(merged[index - 1]?.[1] ?? 0, from))
  return [...kept, text.slice(merged.at(-1)?.[1] ?? 0)].join(mark)
}

/** Returns the encodings of a secret of which a text may show the beginning. */
const cutFormsOf = (secret: string): ReadonlyArray<string> => [
  secret,
  escaped(secret),
  encodeURIComponent(Buffer.from(secret).toString()),
  base64(secret)
]

const compile = (secrets: ReadonlyArray<string>): (text: string) => string => {
  const parts = [...new Set(secrets.flatMap(partsOf))].filter((part) => part.length >= shortest)
  if (parts.length === 0) return (text) => text
  const quoted = new Set(parts.flatMap((part) => [part, base64(part), base64Url(part)]).flatMap(chunksOf))
  const cut = new Set(parts.flatMap((part) => isPlain(part) ? [] : cutFormsOf(part)).map(lowered))
  const finders = [...Array.from(quoted, finderOf), ...Array.from(cut, cutFinderOf)]
  return (text) => {
    const searched = lowered(text)
    const spans = finders.flatMap((find) => find(searched))
    return spans.length === 0 ? text : replaced(text, spans)
  }
}

/** Makes a function that replaces every occurrence of the secrets. They are first read when it is first called: most servers never fail. */
export const make = (secrets: ReadonlyArray<string> | (() => ReadonlyArray<string>)): (text: string) => string => {
  let redact: ((text: string) => string) | undefined
  return (text) => (redact ??= compile(typeof secrets === "function" ? secrets() : secrets))(text)
}

/** Extends such a function by secrets that change. `secrets` returns another array once they have changed. */
export const extend = (
  redact: (text: string) => string,
  secrets: () => ReadonlyArray<string>
): (text: string) => string => {
  let known: ReadonlyArray<string> = []
  let redactKnown = make(known)
  return (text) => {
    const now = secrets()
    if (now !== known) {
      known = now
      redactKnown = make(now)
    }
    return redact(redactKnown(text))
  }
}
