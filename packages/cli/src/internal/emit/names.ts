/**
 * Names and texts of servers in TypeScript source: nothing that a server names itself by can end a text or a comment, or hide in one.
 */

const hidden = /[\p{Cc}\p{Cf}\p{Cs}\p{Default_Ignorable_Code_Point}\p{Zl}\p{Zp}]/gu

const escapeUnits = (character: string): string =>
  Array.from(
    { length: character.length },
    (_, index) => `\\u${character.charCodeAt(index).toString(16).padStart(4, "0")}`
  ).join("")

/** Prints a text as a string literal, with hidden characters escaped. */
export const quoted = (text: string): string => JSON.stringify(text).replaceAll(hidden, escapeUnits)

/** Prints the key of a member: in an object literal, `__proto__` is a key only in brackets. */
export const key = (name: string): string => name === "__proto__" ? `["__proto__"]` : quoted(name)

/** The longest text of one comment, in characters. */
const commentLimit = 1000

/** Prints a doc comment. Line breaks stay; everything else that is hidden, or would end the comment, is escaped. */
export const docComment = (...[paragraphs, indent]: readonly [ReadonlyArray<string>, indent: string]): string => {
  const lines = paragraphs.flatMap((text) => {
    const cut = text.length > commentLimit ? `${text.slice(0, commentLimit).replace(/[\ud800-\udbff]$/, "")}…` : text
    return cut.trim().split(/\r\n|[\n\r\u2028\u2029]/)
  }).map((line) => line.replaceAll("\t", " ").replaceAll(hidden, escapeUnits).replaceAll("*/", "*\\/").trimEnd())
  if (lines.length === 0) return ""
  return lines.length === 1
    ? `${indent}/** ${lines[0]} */\n`
    : `${indent}/**\n${lines.map((line) => `${indent} *${line === "" ? "" : ` ${line}`}\n`).join("")}${indent} */\n`
}

/** Makes a word of a text in upper camel case: ASCII letters and digits only. A text without them gives an empty word. */
export const pascal = (text: string): string =>
  text.slice(0, 100).replaceAll(/[^a-zA-Z0-9]+/g, " ").trim().split(" ").map((word) =>
    word.slice(0, 1).toUpperCase() + word.slice(1)
  ).join("")

/** Hands out identifiers, each once. */
export class Identifiers {
  readonly #taken = new Set(["ReadonlyArray", "Schema", "Servers"])

  take(wanted: string): string {
    const base = /^[A-Za-z]/.test(wanted) ? wanted : `T${wanted}`
    let name = base
    for (let count = 2; this.#taken.has(name); count++) name = `${base}${count}`
    this.#taken.add(name)
    return name
  }
}
