/**
 * JSON numbers that JavaScript cannot hold: whole numbers beyond 2^53, more than 17 digits, beyond the largest double.
 *
 * The values of a message stay ordinary numbers, which validators and programs understand. How the server wrote those that changed is kept
 * beside the values, by the object that holds them.
 */

interface RawJson {
  readonly rawJSON: string
}

/** Part of Node since version 21. TypeScript does not know it yet. */
const Json = JSON as unknown as {
  readonly rawJSON: (text: string) => RawJson
  readonly isRawJSON: (value: unknown) => value is RawJson
  readonly parse: (
    text: string,
    reviver: (this: object, key: string, value: unknown, context: { readonly source?: string }) => unknown
  ) => unknown
}

const decimal = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d{1,9}))?$/

/** Returns the digits of a decimal number without zeros at their ends, and its power of ten. `undefined`: its power is beyond any use. */
const normalized = (text: string): { readonly digits: string; readonly exponent: number } | undefined => {
  const [match, sign = "", whole = "", fraction = "", power = "0"] = decimal.exec(text) ?? []
  if (match === undefined) return undefined
  const all = whole + fraction
  let start = 0
  let end = all.length
  while (start < end && all[start] === "0") start++
  while (end > start && all[end - 1] === "0") end--
  return start === end
    ? { digits: "", exponent: 0 }
    : { digits: sign + all.slice(start, end), exponent: Number(power) - fraction.length + all.length - end }
}

/** Whether JSON of a number is the number that was written, however it was written. */
const isExact = (value: number, source: string): boolean => {
  const shown = String(value)
  if (shown === source) return true
  const [left, right] = [normalized(shown), normalized(source)]
  return left !== undefined && right !== undefined && left.digits === right.digits && left.exponent === right.exponent
}

/** Whether a decimal number is whole. */
export const isWhole = (source: string): boolean => {
  const number = normalized(source)
  return number === undefined ? !/[eE]-/.test(source) : number.exponent >= 0
}

/** Returns a decimal number as JavaScript holds it, or as raw JSON. */
export const fromDecimal = (source: string): number | RawJson => {
  const value = Number(source)
  return isExact(value, source) ? value : Json.rawJSON(source)
}

export const isRaw = (value: unknown): value is RawJson => Json.isRawJSON(value)

/** Parses JSON. Numbers that JavaScript cannot hold become raw JSON, which is encoded as it was written. */
export const parseRaw = (text: string): unknown =>
  Json.parse(
    text,
    (_, value, { source }) => typeof value === "number" && source !== undefined ? fromDecimal(source) : value
  )

/** A number of JSON without its sign, or what looks like one in a string. */
const number = /[\d.]+(?:[eE][+-]?\d+)?/y

const largeExponent = /\d[eE][+-]?\d{3}/g

/** JavaScript holds numbers of fewer digits, unless they have a large exponent. */
const manyDigits = 16

/** Whether a text has a digit or a decimal point at an index. */
const isDigit = (text: string, at: number): boolean => {
  const code = text.charCodeAt(at)
  return code <= 0x39 && code >= 0x2e && code !== 0x2f
}

const startOf = (text: string, at: number): number => {
  let start = at
  while (isDigit(text, start - 1)) start--
  return start
}

/** Whether JavaScript holds the number that begins at an index. */
const isExactAt = (text: string, start: number): boolean => {
  number.lastIndex = start
  const [source = ""] = number.exec(text) ?? []
  return isExact(Number(source), source)
}

/**
 * Whether a text of JSON may have a number that JavaScript cannot hold; one within a string counts, too. Costs little beside parsing: of many digits
 * in a row, one is at every 16th character.
 */
export const mayBeInexact = (text: string): boolean => {
  for (let at = manyDigits - 1; at < text.length; at += manyDigits) {
    if (!isDigit(text, at)) continue
    const start = startOf(text, at)
    while (isDigit(text, at + 1)) at++
    if (at - start + 1 >= manyDigits && !isExactAt(text, start)) return true
  }
  largeExponent.lastIndex = 0
  for (let match = largeExponent.exec(text); match !== null; match = largeExponent.exec(text)) {
    if (!isExactAt(text, startOf(text, match.index))) return true
  }
  return false
}

const sources = new WeakMap<object, Map<string, string>>()

/** Whether any source has been kept. */
let hasSources = false

let isKept = false

/** Makes {@link parse} keep the sources of numbers from now on. */
export const keep = (): void => {
  isKept = true
}

const parseKept = (text: string): unknown =>
  Json.parse(text, function(key, value, { source }) {
    if (typeof value === "number" && source !== undefined && !isExact(value, source)) {
      hasSources = true
      const known = sources.get(this) ?? new Map<string, string>()
      sources.set(this, known.set(key, source))
    }
    return value
  })

/**
 * Parses a message within the bounds of `jsonRpc/jsonBounds.ts`: a deeper one would overflow the stack. Costs a comparison more than
 * `JSON.parse`, or a look at the text if numbers are kept.
 */
export const parse = (text: string): unknown => isKept && mayBeInexact(text) ? parseKept(text) : JSON.parse(text)

/** Encodes a value as JSON, with the numbers of messages as their servers wrote them. */
export const stringify = (value: unknown, indentation: number): string | undefined =>
  JSON.stringify(
    value,
    function(this: object, key: string, item: unknown) {
      const source = typeof item === "number" ? sources.get(this)?.get(key) : undefined
      return source === undefined ? item : Json.rawJSON(source)
    },
    indentation
  )

/** Whether an object, or one within it, has a number whose source is kept. */
const holdsSources = (value: object): boolean => {
  if (sources.has(value)) return true
  for (const item of Array.isArray(value) ? value : Object.values(value)) {
    if (typeof item === "object" && item !== null && holdsSources(item)) return true
  }
  return false
}

/**
 * Encodes a message of JSON types with the numbers that its server wrote. As fast as `JSON.stringify` until a source has been kept; then, it looks for sources
 * first.
 */
export const encode = (message: object): string =>
  (hasSources && holdsSources(message) ? stringify(message, 0) : undefined) ?? JSON.stringify(message)
