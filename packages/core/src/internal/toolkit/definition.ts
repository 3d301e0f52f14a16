/**
 * Definitions as models may get them. Providers refuse a request for the definition of one tool, and with it the tools of all other servers.
 *
 * @see https://modelcontextprotocol.io/specification/2025-11-25/server/tools#tool
 */
import * as Predicate from "effect/Predicate"
import type { Tool } from "../../Mcp.ts"

type Fields = Readonly<Record<string, unknown>>

const isFields = (value: unknown): value is Fields => Predicate.isObject(value) && !Array.isArray(value)

const isAbsentOr = (is: (value: unknown) => boolean) => (value: unknown): boolean => value === undefined || is(value)

const isTexts = (value: unknown): boolean => Array.isArray(value) && value.every(Predicate.isString)

/** Leaves out the members that are not what they must be. Returns the object itself if all are. */
const without = <A extends object>(value: A, rules: Readonly<Record<string, (member: unknown) => boolean>>): A => {
  const isSound = ([key, member]: readonly [string, unknown]) =>
    !Object.hasOwn(rules, key) || rules[key]?.(member) === true
  const members = Object.entries(value)
  return members.every(isSound) ? value : Object.fromEntries(members.filter(isSound)) as A
}

const optionalText = isAbsentOr(Predicate.isString)

/** The arguments of a call are an object, whatever the server says of them. */
const soundSchema = (schema: unknown): Tool["inputSchema"] => {
  if (!isFields(schema)) return { type: "object" }
  const sound = without(schema, { properties: isAbsentOr(isFields), required: isAbsentOr(isTexts) })
  return (sound.type === "object" ? sound : { ...sound, type: "object" }) as Tool["inputSchema"]
}

/** Makes the definition that a model gets. It is the one of the server, if its members have the types of the specification. */
export const soundDefinition = (definition: Tool): Tool => {
  const sound = without(definition, {
    annotations: isAbsentOr(isFields),
    description: optionalText,
    title: optionalText
  })
  const inputSchema = soundSchema(sound.inputSchema)
  return inputSchema === sound.inputSchema ? sound : { ...sound, inputSchema }
}
