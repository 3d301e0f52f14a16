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

/** What may be a number that JavaScript cannot hold: many digits, or a large exponent. */
const suspect = /[\d.]{17}|\d[eE][+-]?\d{3}/

/** Whether a text of JSON may have a number that JavaScript cannot hold. */
export const mayBeInexact = (text: string): boolean => suspect.test(text)

const sources = new WeakMap<object, Map<string, string>>()

let isKept = false

/** Makes {@link parse} keep the sources of numbers from now on. */
export const keep = (): void => {
  isKept = true
}

const parseKept = (text: string): unknown =>
  Json.parse(text, function(key, value, { source }) {
    if (typeof value === "number" && source !== undefined && !isExact(value, source)) {
      const known = sources.get(this) ?? new Map<string, string>()
      sources.set(this, known.set(key, source))
    }
    return value
  })

/**
 * Parses a message within the bounds of `jsonRpc/jsonBounds.ts`: a deeper one would overflow the stack. Costs a comparison more than
 * `JSON.parse`, unless numbers are kept.
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
