/**
 * Parses JSON, strict or with comments and trailing commas, into a tree with offsets.
 *
 * Core has a parser of its own because it needs all three: offsets of keys and values, a bound on the depth before it recurses, and errors that
 * say what was expected without quoting the text.
 */
import * as Result from "effect/Result"
import type { Member, Node } from "./node.ts"

/** How deep lists and objects may be nested. */
export const depthLimit = 64

/** The first error of a text. */
export interface SyntaxFault {
  readonly offset: number
  readonly expected: string
}

/** Thrown to end the parser. */
class Fault {
  readonly fault: SyntaxFault
  constructor(fault: SyntaxFault) {
    this.fault = fault
  }
}

const expectedValue = "a value; words other than true, false and null need quotes"

const literals: ReadonlyArray<readonly [text: string, value: boolean | null]> = [
  ["true", true],
  ["false", false],
  ["null", null]
]

const numberForm = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y

/** Text of a string up to its closing quote. */
// eslint-disable-next-line no-control-regex
const stringForm = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y

class Parser {
  readonly #text: string
  readonly #isStrict: boolean
  #index = 0

  constructor(text: string, isStrict: boolean) {
    this.#text = text
    this.#isStrict = isStrict
    // A byte order mark is not part of the document.
    if (text.startsWith("\uFEFF")) this.#index = 1
  }

  document(): Node {
    const node = this.#value(0)
    this.#skip()
    if (this.#index < this.#text.length) this.#fail("the end of the text")
    return node
  }

  #fail(expected: string, offset = this.#index): never {
    throw new Fault({ offset, expected })
  }

  /** Skips white space and comments. */
  #skip(): void {
    for (;;) {
      const character = this.#text[this.#index]
      if (character === " " || character === "\t" || character === "\n" || character === "\r") this.#index++
      else if (character === "/" && !this.#isStrict) this.#comment()
      else return
    }
  }

  #comment(): void {
    const start = this.#index
    const next = this.#text[start + 1]
    if (next !== "/" && next !== "*") this.#fail(expectedValue)
    const end = next === "/" ? this.#text.indexOf("\n", start) : this.#text.indexOf("*/", start + 2)
    if (end >= 0) this.#index = next === "/" ? end : end + 2
    else if (next === "/") this.#index = this.#text.length
    else this.#fail("the end of the comment", this.#text.length)
  }

  #match(form: RegExp): string | undefined {
    form.lastIndex = this.#index
    return form.exec(this.#text)?.[0]
  }

  #value(depth: number): Node {
    this.#skip()
    const offset = this.#index
    const character = this.#text[offset]
    if (character === "{" || character === "[") {
      if (depth >= depthLimit) this.#fail(`at most ${depthLimit} levels of lists and objects`)
      return character === "{" ? this.#object(depth) : this.#list(depth)
    }
    if (character === "\"") return { kind: "scalar", offset, value: this.#string() }
    const literal = literals.find(([text]) => this.#text.startsWith(text, offset))
    const number = literal === undefined ? this.#match(numberForm) : undefined
    const length = literal?.[0].length ?? number?.length ?? 0
    if (length === 0 || /[\w.$-]/.test(this.#text[offset + length] ?? "")) this.#fail(expectedValue)
    this.#index += length
    return { kind: "scalar", offset, value: literal === undefined ? Number(number) : literal[1] }
  }

  #string(): string {
    const source = this.#match(stringForm)
    if (source === undefined) this.#fail("a string on one line with valid escapes and a closing quote")
    this.#index += source.length
    return unescaped(source)
  }

  /** Reads the items up to a closing character. */
  #sequence(close: string, name: string, item: () => void): void {
    this.#index++
    for (let isFirst = true;; isFirst = false) {
      this.#skip()
      if (this.#text[this.#index] === close) break
      if (this.#index >= this.#text.length) this.#fail(name)
      if (!isFirst) {
        if (this.#text[this.#index] !== ",") this.#fail(`a comma or ${name}`)
        this.#index++
        this.#skip()
        if (this.#text[this.#index] === close && !this.#isStrict) break
      }
      item()
    }
    this.#index++
  }

  #object(depth: number): Node {
    const offset = this.#index
    const members: Array<Member> = []
    this.#sequence("}", "a closing brace", () => {
      const start = this.#index
      if (this.#text[start] !== "\"") this.#fail("a key in double quotes")
      const key = this.#string()
      this.#skip()
      if (this.#text[this.#index] !== ":") this.#fail("a colon")
      this.#index++
      members.push({ key, offset: start, value: this.#value(depth + 1) })
    })
    return { kind: "object", offset, members }
  }

  #list(depth: number): Node {
    const offset = this.#index
    const items: Array<Node> = []
    this.#sequence("]", "a closing bracket", () => {
      items.push(this.#value(depth + 1))
    })
    return { kind: "list", offset, items }
  }
}

const escapes: Readonly<Record<string, string>> = { b: "\b", f: "\f", n: "\n", r: "\r", t: "\t" }

/** The value of a string whose form was checked. */
const unescaped = (source: string): string =>
  source.slice(1, -1).replaceAll(
    /\\(?:u(.{4})|(.))/g,
    (_, code: string | undefined, letter: string | undefined) =>
      code === undefined ? escapes[letter ?? ""] ?? letter ?? "" : String.fromCharCode(Number.parseInt(code, 16))
  )

/** Parses a text. Strict JSON has no comments and no trailing commas. */
export const parseJson = (
  text: string,
  mode: "strict" | "lenient"
): Result.Result<Node, SyntaxFault> => {
  try {
    return Result.succeed(new Parser(text, mode === "strict").document())
  } catch (error) {
    if (error instanceof Fault) return Result.fail(error.fault)
    throw error
  }
}
