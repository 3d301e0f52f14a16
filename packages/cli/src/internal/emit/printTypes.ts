/**
 * Prints types as TypeScript.
 */
import { docComment, quoted } from "./names.ts"
import type { Literal, Property, Type } from "./type.ts"

const step = "  "

export const literal = (value: Literal): string => typeof value === "string" ? quoted(value) : String(value)

/** Names what of a schema has no type. */
export const note = (text: string | undefined): string => text === undefined ? "" : ` /* ${text} */`

const property = ({ comment, isRequired, name, type }: Property, indent: string): string =>
  `${docComment(comment, indent)}${indent}readonly ${quoted(name)}${isRequired ? "" : "?"}: ${print(type, indent)}\n`

const object = ({ properties, rest }: Extract<Type, { readonly _tag: "Object" }>, indent: string): string => {
  const inner = indent + step
  const members = properties.map((member) => property(member, inner)).join("")
  // The type of other members would have to admit the listed ones, too.
  const others = rest === undefined
    ? ""
    : `${inner}readonly [key: string]: ${properties.length === 0 ? print(rest, inner) : "unknown"}\n`
  return members === "" && others === "" ? "{ readonly [key: string]: never }" : `{\n${members}${others}${indent}}`
}

const tuple = ({ items, required, rest }: Extract<Type, { readonly _tag: "Tuple" }>, indent: string): string => {
  const elements = items.map((item, index) => index < required ? print(item, indent) : `(${print(item, indent)})?`)
  return `readonly [${
    [...elements, ...(rest === undefined ? [] : [`...ReadonlyArray<${print(rest, indent)}>`])].join(", ")
  }]`
}

/** Prints a type. Its further lines begin with `indent`. */
export const print = (...[type, indent]: readonly [type: Type, indent: string]): string => {
  switch (type._tag) {
    case "Unknown":
      return `unknown${note(type.note)}`
    case "Never":
      return "never"
    case "Primitive":
      return type.name === "integer" ? "number" : type.name
    case "Literals":
      return type.values.map(literal).join(" | ")
    case "Array":
      return `ReadonlyArray<${print(type.items, indent)}>`
    case "Tuple":
      return tuple(type, indent)
    case "Object":
      return object(type, indent)
    case "Union":
      return type.members.map((member) => print(member, indent)).join(" | ")
    case "Reference":
      return type.name
  }
}
