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

/** Finds the positions of offsets in a text. The first search reads the text once, and all others are binary searches. */
export const positionsIn = (text: string): (offset: number) => Position => {
  let starts: ReadonlyArray<number> | undefined
  return (offset) => {
    starts ??= [0, ...Array.from(text.matchAll(/\n/g), ({ index }) => index + 1)]
    let [low, high] = [0, starts.length]
    while (high - low > 1) {
      const middle = (low + high) >>> 1
      if ((starts[middle] ?? 0) <= offset) low = middle
      else high = middle
    }
    return { line: low + 1, column: Math.min(offset, text.length) - (starts[low] ?? 0) + 1 }
  }
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

/** The members of large objects by key. A search from the start for each of thousands of entries would take a time that is quadratic in them. */
const indexes = new WeakMap<Node, ReadonlyMap<string, Member>>()

/** How many members an object has whose members are searched one by one. */
const unindexed = 16

const indexOf = (node: Node & { readonly kind: "object" }): ReadonlyMap<string, Member> => {
  const index = indexes.get(node) ?? new Map(node.members.map((member) => [member.key, member]))
  indexes.set(node, index)
  return index
}

/** The member with a key; of several, the last one. */
export const memberOf = (node: Node | undefined, key: string): Member | undefined => {
  if (node?.kind !== "object") return undefined
  return node.members.length <= unindexed
    ? node.members.findLast((member) => member.key === key)
    : indexOf(node).get(key)
}

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
