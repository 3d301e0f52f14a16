/**
 * Syntax tree of a configuration document: values with their offsets in the text.
 */

/** One key of an object with its value. `offset` is that of the key. */
export interface Member {
  readonly key: string
  readonly offset: number
  readonly value: Node
}

/** A value of a document. An object keeps every occurrence of a key, in the order of the text. */
export type Node =
  | { readonly kind: "object"; readonly offset: number; readonly members: ReadonlyArray<Member> }
  | { readonly kind: "list"; readonly offset: number; readonly items: ReadonlyArray<Node> }
  | { readonly kind: "scalar"; readonly offset: number; readonly value: unknown }

/** Keys and indices that lead to a value. */
export type Path = ReadonlyArray<string | number>

/** A position in a text, both counted from 1. */
export interface Position {
  readonly line: number
  readonly column: number
}

/** The position of an offset. */
export const positionOf = (text: string, offset: number): Position => {
  const before = text.slice(0, offset).split("\n")
  return { line: before.length, column: (before.at(-1)?.length ?? 0) + 1 }
}

/** The value of a node. Of a key that occurs twice, the last value; `__proto__` is a key like any other. */
export const valueOf = (node: Node): unknown => {
  switch (node.kind) {
    case "scalar":
      return node.value
    case "list":
      return node.items.map(valueOf)
    case "object":
      return Object.fromEntries(node.members.map(({ key, value }) => [key, valueOf(value)]))
  }
}

/** The member with a key; of several, the last one. */
export const memberOf = (node: Node | undefined, key: string): Member | undefined =>
  node?.kind === "object" ? node.members.findLast((member) => member.key === key) : undefined

/** The node at the end of a path. */
export const nodeAt = (node: Node, path: Path): Node | undefined =>
  path.reduce<Node | undefined>(
    (node, key) =>
      typeof key === "string" ? memberOf(node, key)?.value : node?.kind === "list" ? node.items[key] : undefined,
    node
  )

/** The offset of a path: of its last key, or of the nearest value that contains it. */
export const offsetOf = (root: Node, path: Path): number => {
  let node: Node = root
  let { offset } = root
  for (const key of path) {
    const member: { readonly offset: number; readonly value: Node } | undefined = typeof key === "string"
      ? memberOf(node, key)
      : node.kind === "list" && node.items[key] !== undefined
      ? { offset: node.items[key].offset, value: node.items[key] }
      : undefined
    if (member === undefined) return offset
    offset = member.offset
    node = member.value
  }
  return offset
}

/** A key that an object has twice, or that no object may have. */
export interface KeyFault {
  readonly kind: "duplicate" | "reserved"
  readonly path: Path
  readonly offset: number
  /** The offset of the first occurrence. */
  readonly first: number
}

/** The faults of the keys in a node, in the order of the text. */
export const keyFaultsOf = (node: Node, path: Path): ReadonlyArray<KeyFault> => {
  if (node.kind === "list") return node.items.flatMap((item, index) => keyFaultsOf(item, [...path, index]))
  if (node.kind === "scalar") return []
  const firsts = new Map<string, number>()
  return node.members.flatMap(({ key, offset, value }) => {
    const at = [...path, key]
    const first = firsts.get(key)
    firsts.set(key, first ?? offset)
    return [
      ...(first === undefined ? [] : [{ kind: "duplicate" as const, path: at, offset, first }]),
      ...(key === "__proto__" ? [{ kind: "reserved" as const, path: at, offset, first: offset }] : []),
      ...keyFaultsOf(value, at)
    ]
  })
}
