/**
 * Finds a secret in a text, in the encodings in which servers quote it: those of JSON, URLs, forms and HTML, also mixed.
 *
 * **Details**
 *
 * The time is linear in the length of the secret and in that of the text: ASCII letters and digits are the same in every encoding, so runs of
 * them are found as text. Expressions are compiled for single characters only, and only once a text holds the longest run.
 */
import { Buffer } from "node:buffer"

/** A part of a text: its start, and the place after its end. */
export type Span = readonly [from: number, to: number]

/** Plain words and small numbers: modes, formats, ports. */
const plain = /^(?:[a-z]{1,15}|[A-Z]{1,15}|[A-Z][a-z]{1,14}|\d{1,7})$/

/** Whether a value is a plain word or a small number. It is a secret only under the name of one, and never within another word. */
export const isPlain = (value: string): boolean => plain.test(value)

/** Returns a text in lower case, each character at its place. The one capital that gets longer is replaced first. */
export const lowered = (text: string): string => text.replaceAll("\u0130", "i").toLowerCase()

// -----------------------------------------------------------------------------
// Encodings of a character
// -----------------------------------------------------------------------------

const letters: Readonly<Record<string, string>> = { "\b": "b", "\t": "t", "\n": "n", "\v": "v", "\f": "f", "\r": "r" }

const entities: Readonly<Record<string, string>> = { "&": "amp", "<": "lt", ">": "gt", "\"": "quot", "'": "apos" }

const literal = (text: string): string => text.replaceAll(/[$()*+.?[\\\]^{|}/-]/g, String.raw`\$&`)

const hex = (code: number, digits: number): string => code.toString(16).padStart(digits, "0")

/** The backslashes of JSON within JSON. Bounded, so that a text of nothing else takes linear time. */
const backslashes = String.raw`\\{1,3}`

/** Returns patterns of a character other than an ASCII letter or digit, one for each encoding. Each ends at one place only. */
const encodingsOfCharacter = (character: string, isEscaped: boolean): ReadonlyArray<string> => {
  const units = Array.from({ length: character.length }, (_, index) => hex(character.charCodeAt(index), 4))
  const bytes = Array.from(Buffer.from(character), (byte) => hex(byte, 2))
  const code = character.codePointAt(0) ?? 0
  const before = isEscaped ? "" : backslashes
  const letter = letters[character]
  const entity = entities[character]
  return [
    `${isEscaped ? "" : String.raw`\\{0,3}`}${literal(lowered(character))}`,
    ...(letter === undefined ? [] : [before + letter]),
    units.map((unit) => `${before}u${unit}`).join(""),
    // A query within the query of a URL is encoded twice.
    bytes.map((byte) => `%(?:25)?${byte}`).join(""),
    ...(character === "%" ? ["%25"] : []),
    `&#(?:0*${code}|x0*${hex(code, 1)});`,
    ...(entity === undefined ? [] : [`&${entity};`]),
    ...(character === " " ? [String.raw`\+`] : [])
  ]
}

const encodingsOfBackslashes = (length: number): ReadonlyArray<string> => [
  `\\\\{${length},${4 * length}}`,
  `(?:%(?:25)?5c){${length}}`,
  `(?:${backslashes}u005c){${length}}`,
  `(?:&#92;){${length}}`
]

// -----------------------------------------------------------------------------
// Matching
// -----------------------------------------------------------------------------

/** A piece of a secret: a run of ASCII letters and digits in lower case, or the encodings of another character. */
type Piece = string | ReadonlyArray<RegExp>

const piecesOf = (secret: string): ReadonlyArray<Piece> => {
  const known = new Map<string, ReadonlyArray<RegExp>>()
  let isEscaped = false
  return Array.from(secret.matchAll(/[A-Za-z0-9]+|\\+|[\s\S]/gu), ([part]) => {
    const isAfter = isEscaped
    isEscaped = part.startsWith("\\")
    if (/^[A-Za-z0-9]/.test(part)) return part.toLowerCase()
    const key = `${isAfter} ${part}`
    const encodings = known.get(key) ??
      (isEscaped ? encodingsOfBackslashes(part.length) : encodingsOfCharacter(part, isAfter))
        .map((pattern) => new RegExp(pattern, "iy"))
    known.set(key, encodings)
    return encodings
  })
}

/** Returns the places at which a piece ends that starts at one place. */
const endsOf = (piece: Piece, text: string, at: number): ReadonlyArray<number> => {
  if (typeof piece === "string") return text.startsWith(piece, at) ? [at + piece.length] : []
  return piece.flatMap((encoding) => {
    encoding.lastIndex = at
    return encoding.test(text) ? [encoding.lastIndex] : []
  })
}

/** Returns the last place at which the pieces end that start at one place. A character such as `%` may end at several. */
const endOf = (pieces: ReadonlyArray<Piece>, text: string, start: number): number | undefined => {
  let ends: ReadonlyArray<number> = [start]
  for (const piece of pieces) {
    const [first] = ends
    if (first === undefined) return undefined
    ends = ends.length === 1
      ? endsOf(piece, text, first)
      : [...new Set(ends.flatMap((at) => endsOf(piece, text, at)))]
  }
  return ends.length === 0 ? undefined : Math.max(...ends)
}

/** Returns the places at which a piece may start. */
function* startsOf(piece: Piece, text: string): Iterable<number> {
  if (typeof piece === "string") {
    for (let at = text.indexOf(piece); at >= 0; at = text.indexOf(piece, at + 1)) yield at
    return
  }
  const anyEncoding = new RegExp(`(?=${piece.map(({ source }) => source).join("|")})`, "gi")
  for (const { index } of text.matchAll(anyEncoding)) yield index
}

const isLetterOrDigit = (text: string, at: number): boolean => /^[A-Za-z0-9]$/.test(text.charAt(at))

/** Makes a function that finds a secret at each place of a text in lower case, also where it overlaps itself. */
export const finderOf = (secret: string): (text: string) => ReadonlyArray<Span> => {
  const runs = secret.match(/[A-Za-z0-9]+/g) ?? []
  const longest = runs.reduce((found, run) => run.length > found.length ? run : found, "").toLowerCase()
  const isWord = isPlain(secret)
  let pieces: ReadonlyArray<Piece> | undefined
  return (text) => {
    if (!text.includes(longest)) return []
    const known = pieces ??= piecesOf(secret)
    const [first] = known
    if (first === undefined) return []
    const spans: Array<Span> = []
    for (const start of startsOf(first, text)) {
      const end = endOf(known, text, start)
      if (end === undefined) continue
      if (isWord && (isLetterOrDigit(text, start - 1) || isLetterOrDigit(text, end))) continue
      spans.push([start, end])
    }
    return spans
  }
}
