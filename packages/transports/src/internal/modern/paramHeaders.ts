/**
 * Mirrors arguments of a tool call in `Mcp-Param-*` headers, where the input schema of the tool asks for it with `x-mcp-header`.
 *
 * The SDK does this too, but exports none of it. A property test holds the two against each other.
 *
 * @see https://modelcontextprotocol.io/specification/2026-07-28/basic/transports/streamable-http#custom-headers
 */
import * as Predicate from "effect/Predicate"
import * as Result from "effect/Result"
import { Buffer } from "node:buffer"

/** An argument to mirror: where it is in the arguments, and the name of its header without the prefix. */
export interface ParamHeader {
  readonly path: ReadonlyArray<string>
  readonly name: string
}

const keyword = "x-mcp-header"

/** A `token` of RFC 9110. */
const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/

const mirrored = new Set<unknown>(["string", "integer", "boolean"])

/** Keywords whose subschemas may not declare headers: a client cannot tell from the arguments alone whether they apply. */
const conditional = [
  "items",
  "prefixItems",
  "contains",
  "additionalProperties",
  "unevaluatedProperties",
  "unevaluatedItems",
  "propertyNames",
  "patternProperties",
  "dependentSchemas",
  "oneOf",
  "anyOf",
  "allOf",
  "not",
  "if",
  "then",
  "else",
  "$defs",
  "definitions"
]

/** Those of them that hold subschemas by name. */
const named = new Set(["patternProperties", "dependentSchemas", "$defs", "definitions"])

/** Deeper schemas are refused before they exhaust the stack. */
const depthLimit = 500

const subschemasOf = (key: string, value: unknown): ReadonlyArray<unknown> =>
  Array.isArray(value) ? value : named.has(key) && Predicate.isObject(value) ? Object.values(value) : [value]

/**
 * Finds the headers that an input schema declares. Fails with a sentence about the first declaration that the specification
 * forbids, for which a client has to leave out the tool.
 */
export const paramHeadersOf = (inputSchema: unknown): Result.Result<ReadonlyArray<ParamHeader>, string> => {
  const headers: Array<ParamHeader> = []
  const seen = new Set<string>()
  const faultOf = (schema: unknown, path: ReadonlyArray<string>, isReachable: boolean): string | undefined => {
    if (typeof schema !== "object" || schema === null) return undefined
    if (path.length > depthLimit) return `the schema is nested more than ${depthLimit} levels deep`
    const node = schema as Record<string, unknown>
    if (keyword in node) {
      const name = node[keyword]
      const where = path.length === 0 ? "the schema itself" : path.join(".")
      if (!isReachable || path.length === 0) return `${where} declares a header, which only plain properties may`
      if (typeof name !== "string" || !token.test(name)) return `the header of ${where} has no valid name`
      if (!mirrored.has(node.type)) return `${where} declares a header, but is no string, integer or boolean`
      if (seen.has(name.toLowerCase())) return `${where} declares a header that another property declares`
      seen.add(name.toLowerCase())
      headers.push({ path, name: name.toLowerCase() })
    }
    if (typeof node.properties === "object" && node.properties !== null) {
      for (const [key, property] of Object.entries(node.properties)) {
        const fault = faultOf(property, [...path, key], isReachable)
        if (fault !== undefined) return fault
      }
    }
    for (const key of conditional) {
      if (node[key] === undefined) continue
      for (const subschema of subschemasOf(key, node[key])) {
        const fault = faultOf(subschema, [...path, `<${key}>`], false)
        if (fault !== undefined) return fault
      }
    }
    return undefined
  }
  const fault = faultOf(inputSchema, [], true)
  return fault === undefined ? Result.succeed(headers) : Result.fail(fault)
}

/** Text that goes through as it is: visible ASCII, with spaces and tabs inside. */
const plain = /^[\x21-\x7e](?:[\t\x20-\x7e]*[\x21-\x7e])?$/

const isEncoded = (text: string): boolean => text.startsWith("=?base64?") && text.endsWith("?=")

/** Encodes text as the value of a header: as it is where that is safe, otherwise in base64. */
export const encodeHeader = (text: string): string =>
  plain.test(text) && !isEncoded(text) ? text : `=?base64?${Buffer.from(text, "utf8").toString("base64")}?=`

const textOf = (value: unknown): string | undefined => {
  switch (typeof value) {
    case "string":
      return value
    case "boolean":
      return String(value)
    case "number":
      // An integer that JavaScript cannot hold is not the number that the caller wrote.
      return Number.isFinite(value) && (!Number.isInteger(value) || Number.isSafeInteger(value))
        ? String(value)
        : undefined
    default:
      return undefined
  }
}

const valueAt = (args: unknown, path: ReadonlyArray<string>): unknown => {
  let value = args
  for (const key of path) {
    if (typeof value !== "object" || value === null) return undefined
    value = (value as Record<string, unknown>)[key]
  }
  return value
}

/** The text of an argument as a header repeats it; `undefined` if it is absent, null, structured, or a number that JavaScript cannot hold. */
export const textAt = (args: unknown, path: ReadonlyArray<string>): string | undefined => textOf(valueAt(args, path))

/** Appends the headers of a call to a flat list of names and values. Leaves out arguments that are absent, null or structured. */
export const appendParamHeaders = (options: {
  readonly to: Array<string>
  readonly headers: ReadonlyArray<ParamHeader>
  readonly args: unknown
}): void => {
  for (const { name, path } of options.headers) {
    const text = textAt(options.args, path)
    if (text !== undefined) options.to.push(`mcp-param-${name}`, encodeHeader(text))
  }
}
