/**
 * Types as JSON Schema describes them, before they are printed.
 */

export type Literal = string | number | boolean | null

/** A member of an object. The comment is text of the server. */
export interface Property {
  readonly name: string
  readonly type: Type
  readonly isRequired: boolean
  readonly comment: ReadonlyArray<string>
}

/**
 * A type of JSON values.
 *
 * - `Unknown`: any value. `note` names what of the schema has no type.
 * - `Tuple`: the first `required` of its elements are always there; `rest` is the type of those after the listed ones, if there may be any.
 * - `Object`: `rest` is the type of the members that are not listed, if the schema describes them.
 * - `Reference`: a definition with a name of its own.
 */
export type Type =
  | { readonly _tag: "Unknown"; readonly note: string | undefined }
  | { readonly _tag: "Never" }
  | { readonly _tag: "Primitive"; readonly name: "string" | "number" | "integer" | "boolean" | "null" }
  | { readonly _tag: "Literals"; readonly values: ReadonlyArray<Literal> }
  | { readonly _tag: "Array"; readonly items: Type }
  | {
    readonly _tag: "Tuple"
    readonly items: ReadonlyArray<Type>
    readonly required: number
    readonly rest: Type | undefined
  }
  | { readonly _tag: "Object"; readonly properties: ReadonlyArray<Property>; readonly rest: Type | undefined }
  | { readonly _tag: "Union"; readonly members: ReadonlyArray<Type> }
  | { readonly _tag: "Reference"; readonly name: string }

/** A type with a name, which references use. */
export interface Definition {
  readonly name: string
  readonly type: Type
}

export const unknown = (note?: string): Type => ({ _tag: "Unknown", note })

export const never: Type = { _tag: "Never" }

const isUnknown = ({ _tag }: Type): boolean => _tag === "Unknown"

/** Joins alternatives: nested unions are flattened, and equal members are listed once. */
export const union = (members: ReadonlyArray<Type>): Type => {
  const flat = members.flatMap((member) => member._tag === "Union" ? member.members : [member])
  const open = flat.find(isUnknown)
  if (open !== undefined) return open
  const distinct = new Map(
    flat.filter(({ _tag }) => _tag !== "Never").map((member) => [JSON.stringify(member), member])
  )
  const [first, ...others] = distinct.values()
  return first === undefined ? never : others.length === 0 ? first : { _tag: "Union", members: [first, ...others] }
}

const primitiveOf = (value: Literal): "string" | "number" | "boolean" | "null" =>
  value === null ? "null" : typeof value as "string" | "number" | "boolean"

const isOf = (value: Literal, name: string): boolean =>
  name === "integer" ? Number.isInteger(value) : primitiveOf(value) === name

const intersectObjects = (
  left: Extract<Type, { readonly _tag: "Object" }>,
  right: Extract<Type, { readonly _tag: "Object" }>
): Type => {
  const merged = new Map(left.properties.map((property) => [property.name, property]))
  for (const property of right.properties) {
    const other = merged.get(property.name)
    merged.set(
      property.name,
      other === undefined ? property : {
        name: property.name,
        type: intersect(other.type, property.type),
        isRequired: other.isRequired || property.isRequired,
        comment: other.comment.length > 0 ? other.comment : property.comment
      }
    )
  }
  const rest = left.rest === undefined || right.rest === undefined
    ? left.rest ?? right.rest
    : intersect(left.rest, right.rest)
  return { _tag: "Object", properties: [...merged.values()], rest }
}

/** The values of both types. Where that has no type, the values of the first, which are more. */
export const intersect = (...[left, right]: readonly [left: Type, right: Type]): Type => {
  if (isUnknown(left)) return right
  if (isUnknown(right)) return left
  if (left._tag === "Never" || right._tag === "Never") return never
  if (left._tag === "Union") return union(left.members.map((member) => intersect(member, right)))
  if (right._tag === "Union") return union(right.members.map((member) => intersect(left, member)))
  if (left._tag === "Reference" || right._tag === "Reference") return left
  if (left._tag === "Object" && right._tag === "Object") return intersectObjects(left, right)
  if (left._tag === "Array" && right._tag === "Array") {
    return { _tag: "Array", items: intersect(left.items, right.items) }
  }
  if (left._tag === "Tuple" || right._tag === "Tuple") {
    return [left, right].every(({ _tag }) => _tag === "Array" || _tag === "Tuple") ? left : never
  }
  if (left._tag === "Literals") return literals(left.values.filter((value) => admits(right, value)))
  if (right._tag === "Literals") return intersect(right, left)
  if (left._tag === "Primitive" && right._tag === "Primitive") {
    if (left.name === right.name) return left
    const isNumber = (name: string) => name === "integer" || name === "number"
    return isNumber(left.name) && isNumber(right.name) ? { _tag: "Primitive", name: "integer" } : never
  }
  return never
}

const admits = (type: Type, value: Literal): boolean =>
  type._tag === "Literals" ? type.values.includes(value) : type._tag === "Primitive" && isOf(value, type.name)

/** The type of the listed values. A number that is written too large for JavaScript has no literal. */
export const literals = (values: ReadonlyArray<Literal>): Type => {
  const distinct = [...new Set(values)]
  if (distinct.length === 0) return never
  const isFinite = distinct.every((value) => typeof value !== "number" || Number.isFinite(value))
  return isFinite
    ? { _tag: "Literals", values: distinct }
    : union(distinct.map((value): Type => ({ _tag: "Primitive", name: primitiveOf(value) })))
}
