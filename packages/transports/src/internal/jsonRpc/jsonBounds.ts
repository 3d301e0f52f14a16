/**
 * Bounds of inbound JSON, checked on the text before it is parsed.
 *
 * **Details**
 *
 * The parser itself takes any depth, but what walks a value afterwards is recursive: `JSON.stringify` and `structuredClone` overflow the
 * stack at some 4000 levels, a schema pass at a few hundred times fewer frames. And an object with many different keys takes the parser
 * about a microsecond for each, in one turn of the event loop.
 *
 * Most messages cannot exceed a bound, because they are too short or have too few brackets. The search for brackets jumps from one to the
 * next, so a long text with few values costs next to nothing. Only the rest is scanned.
 */

/** How deep arrays and objects may be nested. Other JSON parsers allow 64 to 1000 levels by default. */
export const maxDepth = 512

/** How many members all objects of a message may have together. */
export const maxMembers = 250_000

/** How many values a message may have. */
export const maxValues = 1_000_000

/** Shorter texts exceed no bound: a level takes two characters. */
const smallText = 2 * maxDepth

/** Shorter texts exceed no bound but the depth: a member takes four characters, such as `"":0`, and another value two. */
const mediumText = Math.min(4 * maxMembers, 2 * maxValues)

const quote = 0x22
const comma = 0x2c
const colon = 0x3a
const openingBracket = 0x5b
const backslash = 0x5c
const closingBracket = 0x5d
const openingBrace = 0x7b
const closingBrace = 0x7d

/** Whether a text has so many opening brackets that it may be too deep. */
const hasManyBrackets = (text: string): boolean => {
  let count = 0
  for (const bracket of ["[", "{"]) {
    for (let at = text.indexOf(bracket); at !== -1; at = text.indexOf(bracket, at + 1)) {
      if (++count > maxDepth) return true
    }
  }
  return false
}

/** Returns the position of the quote that ends the string that begins at `start`, or the end of the text. */
const endOfString = (text: string, start: number): number => {
  for (let end = text.indexOf("\"", start + 1); end !== -1; end = text.indexOf("\"", end + 1)) {
    let before = end
    while (text.charCodeAt(before - 1) === backslash) before--
    if ((end - before) % 2 === 0) return end
  }
  return text.length
}

/** Visits the brackets, colons and commas outside of strings, until the visitor returns true. */
const visitStructure = (text: string, visit: (character: number, at: number) => boolean): void => {
  for (let at = 0; at < text.length; at++) {
    const character = text.charCodeAt(at)
    switch (character) {
      case quote:
        at = endOfString(text, at)
        break
      case openingBracket:
      case openingBrace:
      case closingBracket:
      case closingBrace:
      case colon:
      case comma:
        if (visit(character, at)) return
    }
  }
}

const scan = (text: string): string | undefined => {
  let depth = 0
  let members = 0
  let values = 1
  let excess: string | undefined
  visitStructure(text, (character) => {
    switch (character) {
      case colon:
        if (++members > maxMembers) excess = `has more than ${maxMembers} members`
        break
      case comma:
        if (++values > maxValues) excess = `has more than ${maxValues} values`
        break
      case closingBracket:
      case closingBrace:
        depth--
        break
      default:
        values++
        if (++depth > maxDepth) excess = `is nested more than ${maxDepth} levels deep`
    }
    return excess !== undefined
  })
  return excess
}

/** Returns what a JSON text has too much of, as a predicate; `undefined` within the bounds. Other text may give either. */
export const excessOf = (text: string): string | undefined =>
  text.length <= smallText || (text.length < mediumText && !hasManyBrackets(text)) ? undefined : scan(text)

/** Names and ids that matter are short. */
const scalarLimit = 64

/** Parses a short JSON scalar. Returns `undefined` for any other text. */
const scalarOf = (text: string): unknown => {
  if (text.length > scalarLimit) return undefined
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/**
 * Returns the `id` of the object in a JSON text, or of each object in an array of them, if it is a response.
 * Values further down are skipped unread, so it can be asked of text that exceeds the bounds.
 */
export const responseIdsOf = (text: string): ReadonlyArray<unknown> => {
  const level = text.charCodeAt(0) === openingBracket ? 2 : 1
  const ids: Array<unknown> = []
  let depth = 0
  let key: string | undefined
  let start = 0
  let id: unknown
  let isMessage = false
  let hasMethod = false
  let hasOutcome = false
  const endMember = (end: number): void => {
    if (key === "id") id = scalarOf(text.slice(start, end).trim())
    else if (key === "jsonrpc") isMessage = true
    else if (key === "method") hasMethod = true
    else if (key === "result" || key === "error") hasOutcome = true
    key = undefined
    start = end + 1
  }
  visitStructure(text, (character, at) => {
    switch (character) {
      case colon:
        if (depth !== level || key !== undefined) break
        key = String(scalarOf(text.slice(start, at).trim()))
        start = at + 1
        break
      case comma:
        if (depth === level) endMember(at)
        break
      case closingBracket:
      case closingBrace:
        if (depth-- !== level) break
        endMember(at)
        if (id !== undefined && isMessage && (hasOutcome || !hasMethod)) ids.push(id)
        id = undefined
        isMessage = hasMethod = hasOutcome = false
        break
      default:
        if (++depth === level) start = at + 1
    }
    return false
  })
  return ids
}
