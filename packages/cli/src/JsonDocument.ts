/**
 * Parses JSON documents that people write: with comments and trailing commas. Reports problems with their positions.
 *
 * **Details**
 *
 * Beyond the syntax, a document must say one thing: no object has a key twice, and no key is `__proto__`. Lists and objects are nested at
 * most {@link depthLimit} deep.
 *
 * @since 0.1.0
 */
import { type ConfigProblem, DuplicateKey, InvalidSyntax, ReservedKey } from "@mcp-sessions/core/ConfigError"
import * as Result from "effect/Result"
import { createScanner, type Node, type ParseError, parseTree, printParseErrorCode } from "jsonc-parser"

/**
 * How deep lists and objects may be nested.
 *
 * @category constants
 * @since 0.1.0
 */
export const depthLimit = 64

/**
 * A position in a text, both counted from 1.
 *
 * @category models
 * @since 0.1.0
 */
export interface Position {
  readonly line: number
  readonly column: number
}

const positionOf = (text: string, offset: number): Position => {
  const before = text.slice(0, offset).split("\n")
  return { line: before.length, column: (before.at(-1)?.length ?? 0) + 1 }
}

const expectedSyntax: Record<string, string> = {
  InvalidSymbol: "a key or a value; words other than true, false and null need quotes",
  PropertyNameExpected: "a key in double quotes",
  ValueExpected: "a value",
  ColonExpected: "a colon",
  CommaExpected: "a comma",
  CloseBraceExpected: "a closing brace",
  CloseBracketExpected: "a closing bracket",
  EndOfFileExpected: "the end of the text"
}

const syntaxOf = ({ error }: ParseError): string => expectedSyntax[printParseErrorCode(error)] ?? "well-formed JSON"

/** The token of the scanner at the end of a text. */
const endOfFile = 17

/** Returns where a document is nested too deep. The scanner does not recurse, unlike the parser. */
const depthFault = (text: string): number | undefined => {
  const scanner = createScanner(text, true)
  let depth = 0
  while (scanner.scan() !== endOfFile) {
    const first = text[scanner.getTokenOffset()]
    if (first === "{" || first === "[") depth++
    else if (first === "}" || first === "]") depth--
    if (depth > depthLimit) return scanner.getTokenOffset()
  }
  return undefined
}

/**
 * Says where a text is not JSON in the strict sense, without comments and trailing commas: `"; at line 1, column 2: expected …"`. Empty if the text
 * is JSON.
 *
 * @category decoding
 * @since 0.1.0
 */
export const faultOf = (text: string): string => {
  if (depthFault(text) !== undefined) return ""
  const errors: Array<ParseError> = []
  parseTree(text, errors, { disallowComments: true, allowTrailingComma: false })
  const [error] = errors
  if (error === undefined) return ""
  const { column, line } = positionOf(text, error.offset)
  return `; at line ${line}, column ${column}: expected ${syntaxOf(error)}`
}

interface Reading {
  readonly source: string
  readonly text: string
  readonly problems: Array<ConfigProblem>
}

/** Returns the value of a node. Adds the problems of its keys. */
const valueOf = (reading: Reading, node: Node, path: ReadonlyArray<string | number>): unknown => {
  const { problems, source, text } = reading
  if (node.type === "array") return (node.children ?? []).map((item, index) => valueOf(reading, item, [...path, index]))
  if (node.type !== "object") return node.value
  const firsts = new Map<string, number>()
  const entries = (node.children ?? []).flatMap(({ children: [keyNode, valueNode] = [] }) => {
    if (keyNode === undefined || valueNode === undefined) return []
    const key = String(keyNode.value)
    const place = { source, path: [...path, key], position: positionOf(text, keyNode.offset) }
    const first = firsts.get(key)
    if (first !== undefined) problems.push(new DuplicateKey({ ...place, first: positionOf(text, first) }))
    if (key === "__proto__") problems.push(new ReservedKey(place))
    firsts.set(key, first ?? keyNode.offset)
    return [[key, valueOf(reading, valueNode, place.path)] as const]
  })
  return Object.fromEntries(entries)
}

/**
 * Parses a document, or fails with its problems: the first error of the syntax, or every key that it cannot have. `source` names the document
 * in them.
 *
 * @category decoding
 * @since 0.1.0
 */
export const parse = (options: {
  readonly source: string
  readonly text: string
}): Result.Result<unknown, readonly [ConfigProblem, ...Array<ConfigProblem>]> => {
  const { source, text } = options
  const invalid = (offset: number, expected: string) =>
    Result.fail([new InvalidSyntax({ source, path: [], expected, position: positionOf(text, offset) })] as const)
  const tooDeep = depthFault(text)
  if (tooDeep !== undefined) return invalid(tooDeep, `at most ${depthLimit} levels of lists and objects`)
  const errors: Array<ParseError> = []
  const tree = parseTree(text, errors, { allowTrailingComma: true })
  const [error] = errors
  if (error !== undefined) {
    return invalid(error.offset, syntaxOf(error))
  }
  if (tree === undefined) return invalid(text.length, "a value")
  const problems: Array<ConfigProblem> = []
  const document = valueOf({ source, text, problems }, tree, [])
  const [first, ...rest] = problems
  return first === undefined ? Result.succeed(document) : Result.fail([first, ...rest])
}
