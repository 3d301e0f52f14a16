/**
 * Reads JSON Schema (revision 2020-12, and what tools commonly use of older ones) as types. A type admits every value that the schema admits,
 * and where the schema says more than a type can, other values too.
 */
import { isJsonObject, textOf } from "../text.ts"
import { type Identifiers, pascal } from "./names.ts"
import {
  type Definition,
  intersect,
  type Literal,
  literals,
  never,
  type Property,
  type Type,
  union,
  unknown
} from "./type.ts"

type JsonObject = Readonly<Record<string, unknown>>

/** How deep schemas may be nested. */
const depthLimit = 24

/** How many schemas, and values of enumerations, are read of one tool. */
const sizeLimit = 5000

const primitives = ["string", "number", "integer", "boolean", "null"] as const

const isLiteral = (value: unknown): value is Literal =>
  value === null || typeof value === "string" || typeof value === "number" || typeof value === "boolean"

const listOf = (value: unknown): ReadonlyArray<unknown> | undefined => Array.isArray(value) ? value : undefined

const hasAny = (schema: JsonObject, keys: ReadonlyArray<string>): boolean =>
  keys.some((key) => Object.hasOwn(schema, key))

/** Follows a JSON pointer within a document. */
const resolve = (root: unknown, pointer: string): unknown => {
  if (pointer === "#" || pointer === "#/") return root
  return pointer.slice(2).split("/").reduce<unknown>((found, part) => {
    const key = decoded(part).replaceAll("~1", "/").replaceAll("~0", "~")
    if (Array.isArray(found)) return /^\d+$/.test(key) ? found[Number(key)] : undefined
    return isJsonObject(found) && Object.hasOwn(found, key) ? found[key] : undefined
  }, root)
}

const decoded = (text: string): string => {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

const commentOf = (schema: unknown): ReadonlyArray<string> => {
  if (!isJsonObject(schema)) return []
  const { deprecated, description, format, title } = schema
  return [
    textOf(description) ?? textOf(title) ?? "",
    typeof format === "string" ? `Format: ${format}` : "",
    isLiteral(schema.default) && schema.default !== null ? `Default: ${JSON.stringify(schema.default)}` : "",
    deprecated === true ? "@deprecated" : ""
  ].filter((text) => text.trim() !== "")
}

/** Reads the schemas of one tool. The definitions that they refer to get names that begin with `prefix`. */
export class SchemaReader {
  readonly #root: unknown
  readonly #prefix: string
  readonly #identifiers: Identifiers
  readonly #definitions = new Map<string, { readonly name: string; type: Type }>()
  #left = sizeLimit

  constructor(options: { readonly root: unknown; readonly prefix: string; readonly identifiers: Identifiers }) {
    this.#root = options.root
    this.#prefix = options.prefix
    this.#identifiers = options.identifiers
  }

  /** Reads the whole schema. */
  read(): Type {
    return this.#read(this.#root, 0)
  }

  /** The definitions that were referred to. One that is only another name of itself is any value. */
  get definitions(): ReadonlyArray<Definition> {
    const all = [...this.#definitions.values()]
    const next = new Map(all.map(({ name, type }) => [name, bareReferences(type)]))
    const isCircular = (start: string): boolean => {
      const seen = new Set<string>()
      const open = [...next.get(start) ?? []]
      for (let name = open.pop(); name !== undefined; name = open.pop()) {
        if (name === start) return true
        if (seen.has(name)) continue
        seen.add(name)
        open.push(...next.get(name) ?? [])
      }
      return false
    }
    return all.map(({ name, type }) => ({ name, type: isCircular(name) ? unknown("a definition of itself") : type }))
  }

  #read(schema: unknown, depth: number): Type {
    if (schema === true) return unknown()
    if (schema === false) return never
    if (!isJsonObject(schema)) return unknown("no schema")
    if (depth > depthLimit) return unknown("nested too deep")
    if (this.#left-- <= 0) return unknown("too large")
    const { $ref, allOf, anyOf, nullable, oneOf } = schema
    let type = typeof $ref === "string" ? this.#reference($ref, depth) : this.#own(schema, depth)
    for (const member of listOf(allOf) ?? []) type = intersect(type, this.#read(member, depth + 1))
    for (const members of [anyOf, oneOf]) {
      const alternatives = listOf(members) ?? []
      if (alternatives.length === 0) continue
      const own = type
      type = union(alternatives.map((member) => intersect(own, this.#read(member, depth + 1))))
    }
    return nullable === true ? union([type, { _tag: "Primitive", name: "null" }]) : type
  }

  #reference(ref: string, depth: number): Type {
    if (!/^#(?:\/|$)/.test(ref)) return unknown("a reference out of the schema")
    const known = this.#definitions.get(ref)
    if (known !== undefined) return { _tag: "Reference", name: known.name }
    const target = resolve(this.#root, ref)
    if (target === undefined) return unknown("a reference to nothing")
    const name = this.#identifiers.take(this.#prefix + (pascal(ref.split("/").at(-1) ?? "") || "Self"))
    const definition: { readonly name: string; type: Type } = { name, type: unknown() }
    this.#definitions.set(ref, definition)
    definition.type = this.#read(target, depth + 1)
    return { _tag: "Reference", name }
  }

  /** Reads what a schema says by itself, without its references, alternatives and conjunctions. */
  #own(schema: JsonObject, depth: number): Type {
    const { type } = schema
    const named = typeof type === "string" ? [type] : listOf(type)?.filter((name) => typeof name === "string")
    const implied = hasAny(schema, ["properties", "additionalProperties"])
      ? ["object"]
      : hasAny(schema, ["items", "prefixItems"])
      ? ["array"]
      : undefined
    const names = named === undefined || named.length === 0 ? implied : named
    const typed = names === undefined ? unknown() : union(names.map((name) => this.#named(schema, String(name), depth)))
    const values = Object.hasOwn(schema, "const") ? [schema.const] : listOf(schema.enum)
    if (values === undefined) return typed
    this.#left -= values.length
    if (this.#left <= 0) return typed
    return values.every(isLiteral) ? intersect(literals(values), typed) : typed
  }

  #named(schema: JsonObject, name: string, depth: number): Type {
    if (name === "object") return this.#object(schema, depth)
    if (name === "array") return this.#array(schema, depth)
    const primitive = primitives.find((one) => one === name)
    return primitive === undefined ? unknown("an unknown type") : { _tag: "Primitive", name: primitive }
  }

  #object(schema: JsonObject, depth: number): Type {
    const listed = isJsonObject(schema.properties) ? schema.properties : {}
    const required = new Set(listOf(schema.required)?.filter((name) => typeof name === "string"))
    const { additionalProperties, patternProperties } = schema
    const names = [...new Set([...Object.keys(listed), ...required])].map(String)
    const properties = names.filter((name) => name !== "__proto__").map((name): Property => {
      const property = Object.hasOwn(listed, name) ? listed[name] : true
      return {
        name,
        type: this.#read(property, depth + 1),
        isRequired: required.has(name),
        comment: commentOf(property)
      }
    })
    const hasMore = isJsonObject(patternProperties) && Object.keys(patternProperties).length > 0
    const rest = hasMore || names.length > properties.length
      ? unknown(hasMore ? "patternProperties" : "a member __proto__")
      : additionalProperties === undefined
      ? properties.length === 0 ? unknown() : undefined
      : additionalProperties === false
      ? undefined
      : this.#read(additionalProperties, depth + 1)
    return { _tag: "Object", properties, rest }
  }

  #array(schema: JsonObject, depth: number): Type {
    const { additionalItems, items, maxItems, minItems, prefixItems } = schema
    const listed = listOf(prefixItems) ?? listOf(items)
    const others = Array.isArray(items) ? additionalItems : items
    const otherItems = () => others === undefined ? unknown() : this.#read(others, depth + 1)
    if (listed === undefined || listed.length === 0) return { _tag: "Array", items: otherItems() }
    const isClosed = others === false || (typeof maxItems === "number" && maxItems <= listed.length)
    return {
      _tag: "Tuple",
      items: listed.map((item) => this.#read(item, depth + 1)),
      required: Math.min(listed.length, typeof minItems === "number" && minItems > 0 ? Math.floor(minItems) : 0),
      rest: isClosed ? undefined : otherItems()
    }
  }
}

/** The references that a type is without an object or array around them, which TypeScript refuses in a circle. */
const bareReferences = (type: Type): ReadonlyArray<string> =>
  type._tag === "Reference" ? [type.name] : type._tag === "Union" ? type.members.flatMap(bareReferences) : []
