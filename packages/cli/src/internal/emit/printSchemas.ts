/**
 * Prints types as schemas of Effect.
 */
import { quoted } from "./names.ts"
import { literal, note } from "./printTypes.ts"
import type { Literal, Property, Type } from "./type.ts"

const step = "  "

const primitives = {
  string: "Schema.String",
  number: "Schema.Finite",
  integer: "Schema.Int",
  boolean: "Schema.Boolean",
  null: "Schema.Null"
} as const

const literals = (values: ReadonlyArray<Literal>): string => {
  const listed = values.filter((value) => value !== null)
  const schemas = [
    ...(listed.length === 0 ? [] : [`Schema.Literals([${listed.map(literal).join(", ")}])`]),
    ...(listed.length === values.length ? [] : [primitives.null])
  ]
  return schemas.length === 1 ? schemas.join("") : `Schema.Union([${schemas.join(", ")}])`
}

const property = ({ isRequired, name, type }: Property, indent: string): string => {
  const schema = printSchema(type, indent)
  return `${indent}${quoted(name)}: ${isRequired ? schema : `Schema.optionalKey(${schema})`}`
}

const object = ({ properties, rest }: Extract<Type, { readonly _tag: "Object" }>, indent: string): string => {
  const inner = indent + step
  if (properties.length === 0) {
    return `Schema.Record(Schema.String, ${rest === undefined ? "Schema.Never" : printSchema(rest, indent)})`
  }
  const struct = `Schema.Struct({\n${properties.map((member) => property(member, inner)).join(",\n")}\n${indent}})`
  return rest === undefined
    ? struct
    : `Schema.StructWithRest(${struct}, [Schema.Record(Schema.String, Schema.Unknown)])`
}

const tuple = ({ items, required, rest }: Extract<Type, { readonly _tag: "Tuple" }>, indent: string): string => {
  const elements = items.map((item, index) => {
    const schema = printSchema(item, indent)
    return index < required ? schema : `Schema.optionalKey(${schema})`
  })
  const listed = `Schema.Tuple([${elements.join(", ")}])`
  return rest === undefined ? listed : `Schema.TupleWithRest(${listed}, [${printSchema(rest, indent)}])`
}

/** Prints a schema of the values of a type. Its further lines begin with `indent`. */
export const printSchema = (...[type, indent]: readonly [type: Type, indent: string]): string => {
  switch (type._tag) {
    case "Unknown":
      return `Schema.Unknown${note(type.note)}`
    case "Never":
      return "Schema.Never"
    case "Primitive":
      return primitives[type.name]
    case "Literals":
      return literals(type.values)
    case "Array":
      return `Schema.Array(${printSchema(type.items, indent)})`
    case "Tuple":
      return tuple(type, indent)
    case "Object":
      return object(type, indent)
    case "Union":
      return `Schema.Union([${type.members.map((member) => printSchema(member, indent)).join(", ")}])`
    case "Reference":
      return `Schema.suspend((): Schema.Codec<${type.name}> => ${type.name})`
  }
}
