/**
 * Parses TOML into a tree with offsets. Loaded only when a TOML file is read.
 */
import * as Result from "effect/Result"
import { type AST, ParseError, parseTOML } from "toml-eslint-parser"
import { depthLimit, type SyntaxFault } from "./jsonText.ts"
import type { Member, Node } from "./node.ts"

/** An object while its members are collected: tables extend each other anywhere in a document. */
interface Table {
  readonly kind: "object"
  readonly offset: number
  readonly members: Array<Member>
  readonly byKey: Map<string, Node>
}

interface List {
  readonly kind: "list"
  readonly offset: number
  readonly items: Array<Node>
}

const atMost = `at most ${depthLimit} levels of lists and tables`

/** Thrown to end the conversion. */
class TooDeep {
  readonly offset: number
  constructor(offset: number) {
    this.offset = offset
  }
}

const emptyTable = (offset: number): Table => ({ kind: "object", offset, members: [], byKey: new Map() })

const add = (table: Table, member: Member): void => {
  table.members.push(member)
  table.byKey.set(member.key, member.value)
}

const nameOf = (key: AST.TOMLBare | AST.TOMLQuoted): string => key.type === "TOMLBare" ? key.name : key.value

/** The table below a key; the last one of a list of tables. The parser has refused keys that are no tables. */
const below = (table: Table, key: AST.TOMLBare | AST.TOMLQuoted): Table => {
  const name = nameOf(key)
  const [offset] = key.range
  const found = table.byKey.get(name) as Table | List | undefined
  if (found === undefined) {
    const value = emptyTable(offset)
    add(table, { key: name, offset, value })
    return value
  }
  return found.kind === "list" ? found.items.at(-1) as Table : found
}

const contentOf = (node: AST.TOMLContentNode, depth: number): Node => {
  const [offset] = node.range
  if (depth > depthLimit) throw new TooDeep(offset)
  switch (node.type) {
    case "TOMLArray":
      return { kind: "list", offset, items: node.elements.map((item) => contentOf(item, depth + 1)) }
    case "TOMLInlineTable": {
      const table = emptyTable(offset)
      for (const pair of node.body) assign(table, pair, depth + 1)
      return table
    }
    case "TOMLValue":
      return { kind: "scalar", offset, value: node.value }
  }
}

/** The keys of a dotted key. Each is one more level. */
const keysOf = ({ keys, range: [offset] }: AST.TOMLKey): AST.TOMLKey["keys"] => {
  if (keys.length > depthLimit) throw new TooDeep(offset)
  return keys
}

const assign = (table: Table, { key, value }: AST.TOMLKeyValue, depth: number): void => {
  const keys = keysOf(key)
  const last = keys.at(-1)
  if (last === undefined) return
  const target = keys.slice(0, -1).reduce(below, table)
  add(target, { key: nameOf(last), offset: last.range[0], value: contentOf(value, depth) })
}

/** The table that a header opens. */
const opened = (root: Table, { key, kind }: AST.TOMLTable): Table => {
  const keys = keysOf(key)
  if (kind === "standard") return keys.reduce(below, root)
  const last = keys.at(-1)
  const target = keys.slice(0, -1).reduce(below, root)
  if (last === undefined) return target
  const [offset] = last.range
  const name = nameOf(last)
  const table = emptyTable(offset)
  const list = target.byKey.get(name) as List | undefined
  if (list === undefined) add(target, { key: name, offset, value: { kind: "list", offset, items: [table] } })
  else list.items.push(table)
  return table
}

/** Parses a text. */
export const parseToml = (text: string): Result.Result<Node, SyntaxFault> => {
  try {
    const [top] = parseTOML(text).body
    const root = emptyTable(0)
    for (const statement of top.body) {
      if (statement.type === "TOMLKeyValue") assign(root, statement, 1)
      else {
        const table = opened(root, statement)
        for (const pair of statement.body) assign(table, pair, 1)
      }
    }
    return Result.succeed(root)
  } catch (error) {
    if (error instanceof ParseError) return Result.fail({ offset: error.index, expected: "valid TOML" })
    if (error instanceof TooDeep) return Result.fail({ offset: error.offset, expected: atMost })
    // The parser recurses without a bound of its own.
    if (error instanceof RangeError) return Result.fail({ offset: 0, expected: atMost })
    throw error
  }
}
