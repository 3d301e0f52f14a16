/**
 * Splits lines into words as a shell does: at spaces, with quotes and backslashes. Beyond that, JSON needs no quotes: a word, or the value of
 * `key=` and `key:=`, that begins with a brace or a bracket goes on to the brace or bracket that closes it, over several lines too.
 *
 * Variables, patterns, pipes and redirections have no meaning here.
 *
 * **Example** (Splitting a call)
 *
 * ```ts import.meta.vitest
 * import { split } from "@mcp-sessions/cli/ShellWords"
 *
 * split(`call db/query 'sql=select 1' limits:={"rows": 2}`).words // => ["call", "db/query", "sql=select 1", 'limits:={"rows": 2}']
 * split(`call db/query --args {"sql":`).isComplete // => false
 * ```
 *
 * @since 0.1.0
 */

/**
 * The words of a line.
 *
 * @category models
 * @since 0.1.0
 */
export interface Split {
  readonly words: ReadonlyArray<string>
  /** Whether all quotes and brackets are closed, and no backslash ends the line. */
  readonly isComplete: boolean
  /** Where the last word begins in the line. The length of the line if it ends with a space. */
  readonly lastStart: number
}

/** Returns where JSON that begins at an offset ends, `undefined` if it does not end. */
const jsonEnd = (...[text, start]: readonly [text: string, start: number]): number | undefined => {
  let depth = 0
  let isText = false
  for (let index = start; index < text.length; index++) {
    const character = text[index]
    if (isText) {
      if (character === "\\") index++
      else if (character === "\"") isText = false
    } else if (character === "\"") isText = true
    else if (character === "{" || character === "[") depth++
    else if ((character === "}" || character === "]") && --depth === 0) return index + 1
  }
  return undefined
}

/**
 * Splits a line.
 *
 * @category decoding
 * @since 0.1.0
 */
export const split = (line: string): Split => {
  const words: Array<string> = []
  let word: string | undefined
  let lastStart = line.length
  const open = (index: number) => {
    if (word === undefined) lastStart = index
    word ??= ""
  }
  const unfinished = (): Split => ({ words: [...words, word ?? ""], isComplete: false, lastStart })
  for (let index = 0; index < line.length; index++) {
    const character = line[index] ?? ""
    if (/\s/.test(character)) {
      if (word !== undefined) words.push(word)
      word = undefined
      lastStart = line.length
      continue
    }
    open(index)
    const before: string = word ?? ""
    if ((character === "{" || character === "[") && /^(?:[^=]*=)?$/.test(before)) {
      const end = jsonEnd(line, index)
      word = before + line.slice(index, end)
      if (end === undefined) return unfinished()
      index = end - 1
    } else if (character === "'") {
      const end = line.indexOf("'", index + 1)
      word = before + line.slice(index + 1, end === -1 ? undefined : end)
      if (end === -1) return unfinished()
      index = end
    } else if (character === "\"") {
      let text = before
      let end = index + 1
      for (; end < line.length && line[end] !== "\""; end++) {
        const escaped = line[end] === "\\" && /["\\]/.test(line[end + 1] ?? "")
        if (escaped) end++
        text += line[end] ?? ""
      }
      word = text
      if (end >= line.length) return unfinished()
      index = end
    } else if (character === "\\") {
      if (index + 1 >= line.length) return unfinished()
      index++
      // A backslash at the end of a line joins it with the next one.
      if (line[index] !== "\n") word = before + (line[index] ?? "")
    } else word = before + character
  }
  if (word !== undefined) words.push(word)
  return { words, isComplete: true, lastStart }
}

/**
 * Quotes a word, so that {@link split} and POSIX shells read it as one.
 *
 * @category rendering
 * @since 0.1.0
 */
export const quote = (word: string): string =>
  /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`
