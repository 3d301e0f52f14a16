/**
 * Text that may be shown on a terminal: every character of it is visible, and it is on the lines that the program gave it.
 *
 * **Details**
 *
 * Output takes {@link Shown} alone, and text of others becomes one only by the functions of this module, which escape what a terminal would obey
 * or hide: control characters, changes of direction, characters without a width, tags. `\u202e` stands for U+202E.
 *
 * @since 0.1.0
 */
import stringWidth from "fast-string-width"

/** Characters that have no glyph, or change how others are shown. */
const hidden = String.raw`[\p{Cc}\p{Cf}\p{Cs}\p{Default_Ignorable_Code_Point}\p{Zl}\p{Zp}]`

/** The selector that makes a symbol or a digit an emoji. */
const exceptEmoji = String.raw`(?!(?<=\p{Extended_Pictographic})[\uFE0E\uFE0F])(?!(?<=[0-9#*])\uFE0F\u20E3)`

const inLine = new RegExp(exceptEmoji + hidden, "gv")

/** Keeps what ordinary text needs besides: tabs, joiners within emoji and within words of scripts that have them. */
const inContent = new RegExp(
  [
    String.raw`(?![\t\n])`,
    exceptEmoji,
    String.raw`(?!(?<=[\p{Extended_Pictographic}\uFE0F\u{1F3FB}-\u{1F3FF}])\u200D\p{Extended_Pictographic})`,
    String.raw`(?!(?<=[[\p{L}\p{M}]--\p{ASCII}])[\u200C\u200D][[\p{L}\p{M}]--\p{ASCII}])`,
    hidden
  ].join(""),
  "gv"
)

const inJson = new RegExp(`(?!\\n)${hidden}`, "gu")

const letters: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" }

const escape = (character: string): string => {
  const code = character.codePointAt(0) ?? 0
  return letters[character] ??
    (code > 0xffff ? `\\u{${code.toString(16)}}` : `\\u${code.toString(16).padStart(4, "0")}`)
}

/** Escapes as JSON does: by UTF-16 unit. */
const escapeUnits = (character: string): string =>
  Array.from(
    { length: character.length },
    (_, index) => `\\u${character.charCodeAt(index).toString(16).padStart(4, "0")}`
  ).join("")

/** Whether each character of a text takes one column. */
const isPlain = (text: string): boolean => /^[ -~]*$/.test(text)

/**
 * Returns how many columns of a terminal a text takes: two for East Asian wide characters and emoji, none for colours.
 *
 * @category getters
 * @since 0.1.0
 */
export const widthOf = (text: string): number => isPlain(text) ? text.length : stringWidth(text)

/**
 * A text that may be shown.
 *
 * @category models
 * @since 0.1.0
 */
export class Shown {
  /** The text, with codes of colours. */
  readonly text: string
  #width: number | undefined
  private constructor(text: string) {
    this.text = text
  }

  /** How many columns of a terminal it takes. */
  get width(): number {
    return this.#width ??= widthOf(this.text)
  }

  /** @internal */
  static unsafe(text: string): Shown {
    return new Shown(text)
  }
}

/**
 * Trusts a text of this program: help, and colours of {@link Shown} text.
 *
 * @category constructors
 * @since 0.1.0
 */
export const trusted = (text: string): Shown => Shown.unsafe(text)

/**
 * Shows a text of others on one line: a name, a description, an error. Line breaks are escaped.
 *
 * @category constructors
 * @since 0.1.0
 */
export const name = (text: string): Shown => Shown.unsafe(text.replaceAll(inLine, escape))

/**
 * Shows a text of others whose lines are its own: the result of a tool. Line breaks and tabs stay.
 *
 * @category constructors
 * @since 0.1.0
 */
export const content = (text: string): Shown =>
  Shown.unsafe(text.replaceAll("\r\n", "\n").replaceAll(inContent, escape))

/**
 * Shows JSON. Hidden characters are only in its texts, where they are escaped as JSON escapes them: it stays the same JSON.
 *
 * @category constructors
 * @since 0.1.0
 */
export const json = (text: string): Shown => Shown.unsafe(text.replaceAll(inJson, escapeUnits))

/**
 * Puts texts into a line: those that are not shown yet as {@link name}s.
 *
 * @category constructors
 * @since 0.1.0
 */
export const line = (
  words: TemplateStringsArray,
  ...values: ReadonlyArray<Shown | string | number>
): Shown =>
  join(
    words.flatMap((word, index) => {
      const value = values[index]
      return value === undefined
        ? [trusted(word)]
        : [trusted(word), value instanceof Shown ? value : name(String(value))]
    }),
    ""
  )

/**
 * Joins texts with a separator of this program.
 *
 * @category combinators
 * @since 0.1.0
 */
export const join = (...[texts, separator]: readonly [texts: ReadonlyArray<Shown>, separator: string]): Shown =>
  Shown.unsafe(texts.map(({ text }) => text).join(separator))

/** Made on first use: it loads data of its own, for longer than it takes to load this program. */
let segmenter: Intl.Segmenter | undefined

/**
 * Splits a text into graphemes: what a reader takes for one character.
 *
 * @category getters
 * @since 0.1.0
 */
export const graphemesOf = (text: string): Iterable<Intl.SegmentData> =>
  (segmenter ??= new Intl.Segmenter(undefined, { granularity: "grapheme" })).segment(text)

/**
 * Cuts a text to a number of columns. Colours must be added afterwards.
 *
 * @category combinators
 * @since 0.1.0
 */
export const cut = (...[shown, limit]: readonly [shown: Shown, limit: number]): Shown => {
  const { text } = shown
  if (limit < 1) return Shown.unsafe("")
  if (text.length <= limit && isPlain(text)) return shown
  let end = 0
  let width = 0
  // Servers send megabytes, of which so many columns show no more than the beginning.
  for (const { index, segment } of graphemesOf(text.slice(0, limit * 32))) {
    width += widthOf(segment)
    if (width > limit) return Shown.unsafe(`${text.slice(0, end)}…`)
    if (width < limit) end = index + segment.length
  }
  return text.length <= limit * 32 ? shown : Shown.unsafe(`${text.slice(0, end)}…`)
}
