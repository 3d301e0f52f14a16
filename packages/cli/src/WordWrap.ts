/**
 * Fits shown text to the width of a terminal: East Asian wide characters and emoji take two columns, colours none.
 *
 * **Example** (Wrapping a message)
 *
 * ```ts import.meta.vitest
 * import { wrap } from "@mcp-sessions/cli/WordWrap"
 * import { name } from "@mcp-sessions/cli/Shown"
 *
 * const lines = wrap(name("  the server is down; next attempt at 12:00:05"), 24)
 * lines.map(({ text }) => text) // => ["  the server is down;", "    next attempt at", "    12:00:05"]
 * ```
 *
 * @since 0.1.0
 */
import { graphemesOf, type Shown, trusted, widthOf } from "./Shown.ts"

/** A code of a colour: shown text has no other control characters but line breaks and tabs. */
const colour = /\p{Cc}\[[\d;]*m/gu

/**
 * Returns the column that further lines of a wrapped line begin at: that of its last cell if it is a row of a table, else a little more than
 * its own indentation. At most half of the width.
 */
const hangOf = (plain: string, columns: number): number => {
  const indent = /^ */.exec(plain)?.[0].length ?? 0
  const gap = Array.from(plain.trimEnd().matchAll(/\S {2,}(?=\S)/g)).at(-1)
  const column = gap === undefined ? indent + 2 : widthOf(plain.slice(0, gap.index + gap[0].length))
  const limit = Math.floor(columns / 2)
  return column <= limit ? column : Math.min(indent + 2, limit)
}

/** A part of a line that is not broken: a code of a colour, the space between words, a word, or a wide character. */
interface Piece {
  readonly text: string
  readonly width: number
  readonly kind: "colour" | "space" | "word"
}

/** Splits a word at its wide characters: their scripts have no spaces. Punctuation stays with what it follows. */
const splitWord = (word: string): ReadonlyArray<string> => {
  if (/^\p{ASCII}*$/u.test(word)) return [word]
  const parts: Array<{ text: string; isWide: boolean }> = []
  for (const { segment } of graphemesOf(word)) {
    const last = parts.at(-1)
    const isWide = widthOf(segment) > 1
    const isGlued = last !== undefined && (/^[\p{Pe}\p{Pf}\p{Po}]/u.test(segment) || (!isWide && !last.isWide))
    if (isGlued) last.text += segment
    else parts.push({ text: segment, isWide })
  }
  return parts.map(({ text }) => text)
}

const piecesOf = (text: string): ReadonlyArray<Piece> =>
  (text.match(/\p{Cc}\[[\d;]*m|\s+|[^\s\p{Cc}]+|\p{Cc}/gu) ?? []).flatMap((part): ReadonlyArray<Piece> =>
    part.startsWith("\u001b[")
      ? [{ text: part, width: 0, kind: "colour" }]
      : /^\s/.test(part)
      ? [{ text: part, width: widthOf(part), kind: "space" }]
      : splitWord(part).map((word) => ({ text: word, width: widthOf(word), kind: "word" }))
  )

/** Returns the code that ends a colour or a style, `undefined` for a code that ends one itself. */
const endOf = (code: string): string | undefined => {
  const number = Number(code.slice(2, -1))
  if (number === 1 || number === 2) return "\u001b[22m"
  if (number >= 3 && number <= 9) return `\u001b[${20 + number}m`
  if ((number >= 30 && number <= 37) || (number >= 90 && number <= 97)) return "\u001b[39m"
  return (number >= 40 && number <= 47) || (number >= 100 && number <= 107) ? "\u001b[49m" : undefined
}

/** Collects the lines of a text. Colours end with a line and begin again on the next, so that indentation has none. */
class Lines {
  readonly all: Array<Shown> = []
  #text: string
  #width: number
  #hasWord = false
  /** The space before the next word, and the colours that change in it. A break takes the place of the space. */
  #pending: Piece | undefined
  #pendingColours: Array<string> = []
  #colours: ReadonlyArray<string> = []

  readonly #columns: number
  readonly #hang: number

  constructor(options: { readonly columns: number; readonly hang: number; readonly indent: number }) {
    this.#columns = options.columns
    this.#hang = options.hang
    this.#text = " ".repeat(options.indent)
    this.#width = options.indent
  }

  add(piece: Piece): void {
    if (piece.kind === "space") {
      if (this.#pending !== undefined) this.#flush()
      this.#pending = piece
    } else if (piece.kind === "colour") {
      this.#pendingColours.push(piece.text)
      if (this.#pending === undefined) this.#flush()
    } else {
      const space = this.#pending?.width ?? 0
      if (this.#hasWord && this.#width + space + piece.width > this.#columns) this.#break()
      this.#flush()
      this.#text += piece.text
      this.#width += piece.width
      this.#hasWord = true
    }
  }

  /** Adds what is pending to the line. */
  #flush(): void {
    this.#text += this.#pending?.text ?? ""
    this.#width += this.#pending?.width ?? 0
    this.#pending = undefined
    for (const code of this.#pendingColours) {
      this.#text += code
      this.#switch(code)
    }
    this.#pendingColours = []
  }

  #switch(code: string): void {
    const others = this.#colours.filter((open) => endOf(open) !== code)
    this.#colours = endOf(code) === undefined ? others : [...this.#colours, code]
  }

  #break(): void {
    this.#finish()
    for (const code of this.#pendingColours) this.#switch(code)
    this.#text = " ".repeat(this.#hang) + this.#colours.join("")
    this.#width = this.#hang
    this.#hasWord = false
    this.#pending = undefined
    this.#pendingColours = []
  }

  #finish(): void {
    const ends = this.#colours.map((open) => endOf(open) ?? "").toReversed().join("")
    this.all.push(trusted(this.#text + ends))
  }

  end(): void {
    this.#pending = undefined
    this.#flush()
    this.#finish()
  }
}

/** The longest line that is wrapped, in characters. Beyond it, the terminal wraps. */
const wrapLimit = 20_000

/**
 * Wraps a line at words. A word that is longer than the width stays whole, so that addresses can be opened and copied. Further lines are indented
 * like the last cell of a row, or a little more than the first line.
 *
 * @category rendering
 * @since 0.1.0
 */
export const wrap = (...[shown, columns]: readonly [shown: Shown, columns: number]): ReadonlyArray<Shown> => {
  const { text, width } = shown
  if (width <= columns || text.length > wrapLimit) return [shown]
  const indent = /^ */.exec(text)?.[0].length ?? 0
  const lines = new Lines({ columns, hang: hangOf(text.replaceAll(colour, ""), columns), indent })
  for (const piece of piecesOf(text.slice(indent))) lines.add(piece)
  lines.end()
  return lines.all
}
