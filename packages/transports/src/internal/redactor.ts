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

/** Replaces a secret. */
export const mark = "<redacted>"

/** The shortest secret. */
const shortest = 4

/** The shortest part of a secret that is replaced on its own. */
const shortestPart = 8

/** The shortest line or value of an object that is replaced on its own. */
const shortestLine = 12

/** How much of a secret is taken for a secret that was cut off, at least and at most. */
const shortestCut = 6
const longestCut = 512

/** Plain words and small numbers: modes, formats, ports. */
const plain = /^(?:[a-z]{1,15}|[A-Z]{1,15}|[A-Z][a-z]{1,14}|\d{1,7})$/

/** Whether a value is a plain word or a small number. It is a secret only under the name of one, and never within another word. */
export const isPlain = (value: string): boolean => plain.test(value)

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

const letters: Readonly<Record<string, string>> = { "\b": "b", "\t": "t", "\n": "n", "\v": "v", "\f": "f", "\r": "r" }

const entities: Readonly<Record<string, string>> = { "&": "amp", "<": "lt", ">": "gt", "\"": "quot", "'": "apos" }

const literal = (text: string): string => text.replaceAll(/[$()*+.?[\\\]^{|}/-]/g, String.raw`\$&`)

const hex = (code: number, digits: number): string => code.toString(16).padStart(digits, "0")

/** The backslashes of JSON within JSON. Bounded, so that a text of nothing else takes linear time. */
const backslashes = String.raw`\\{1,3}`

/** Returns a pattern of a character other than an ASCII letter or digit, in every encoding. */
const patternOfCharacter = (character: string, isEscaped: boolean): string => {
  const units = Array.from({ length: character.length }, (_, index) => hex(character.charCodeAt(index), 4))
  const bytes = Array.from(Buffer.from(character), (byte) => hex(byte, 2))
  const code = character.codePointAt(0) ?? 0
  const before = isEscaped ? "" : backslashes
  const letter = letters[character]
  const entity = entities[character]
  return `(?:${
    [
      `${isEscaped ? "" : String.raw`\\{0,3}`}${literal(character)}`,
      ...(letter === undefined ? [] : [before + letter]),
      units.map((unit) => `${before}u${unit}`).join(""),
      // A query within the query of a URL is encoded twice.
      bytes.map((byte) => `%(?:25)?${byte}`).join(""),
      `&#(?:0*${code}|x0*${hex(code, 1)});`,
      ...(entity === undefined ? [] : [`&${entity};`]),
      ...(character === " " ? [String.raw`\+`] : [])
    ].join("|")
  })`
}

/** Returns a pattern of a text in the encodings of JSON, URLs, forms and HTML, also mixed. */
const patternOf = (text: string): string => {
  let isEscaped = false
  const pattern = Array.from(text.matchAll(/\\+|[\s\S]/gu), ([part]) => {
    const isAfter = isEscaped
    isEscaped = part.startsWith("\\")
    if (/^[A-Za-z0-9]$/.test(part)) return part
    const { length } = part
    return isEscaped
      ? `(?:\\\\{${length},${
        4 * length
      }}|(?:%(?:25)?5c){${length}}|(?:${backslashes}u005c){${length}}|(?:&#92;){${length}})`
      : patternOfCharacter(part, isAfter)
  }).join("")
  return isPlain(text) ? `(?<![A-Za-z0-9])${pattern}(?![A-Za-z0-9])` : pattern
}

const base64 = (text: string): string => Buffer.from(text).toString("base64").replace(/=+$/, "")

const base64Url = (text: string): string => base64(text).replaceAll("+", "-").replaceAll("/", "_")

const escaped = (text: string): string => JSON.stringify(text).slice(1, -1)

/** How much of a secret one pattern holds. */
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

type Span = readonly [from: number, to: number]

/** Finds the beginning of a secret before each place at which a text may have been cut. */
const cutsOf = (text: string, secrets: ReadonlyArray<string>): ReadonlyArray<Span> =>
  Array.from(text.matchAll(/…|\.{3}|$/g), ({ index }) => index).flatMap((end) => {
    const before = text.slice(Math.max(0, end - longestCut), end).toLowerCase()
    const lengths = secrets.map((secret) => {
      for (let length = Math.min(secret.length, before.length); length >= shortestCut; length--) {
        if (before.endsWith(secret.slice(0, length))) return length
      }
      return 0
    })
    const longest = Math.max(0, ...lengths)
    return longest === 0 ? [] : [[end - longest, end] as const]
  })

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
const cutFormsOf = (secret: string): ReadonlyArray<string> =>
  [secret, escaped(secret), encodeURIComponent(Buffer.from(secret).toString()), base64(secret)]
    .map((form) => form.toLowerCase().slice(0, longestCut))

const compile = (secrets: ReadonlyArray<string>): (text: string) => string => {
  const parts = [...new Set(secrets.flatMap(partsOf))].filter((part) => part.length >= shortest)
  if (parts.length === 0) return (text) => text
  const chunks = [...new Set(parts.flatMap((part) => [part, base64(part), base64Url(part)]).flatMap(chunksOf))]
  // The lookahead finds a secret at each position, also within another one.
  const alternatives = chunks.toSorted((a, b) => b.length - a.length).map(patternOf)
  const pattern = new RegExp(`(?=(${alternatives.join("|")}))`, "gi")
  const cut = parts.flatMap((part) => isPlain(part) ? [] : cutFormsOf(part))
  return (text) => {
    const spans = Array.from(text.matchAll(pattern), ({ 1: found = "", index }): Span => [index, index + found.length])
    const all = [...spans, ...cutsOf(text, cut)]
    return all.length === 0 ? text : replaced(text, all)
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
