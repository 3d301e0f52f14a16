/**
 * Prints the tools of servers as a module of TypeScript: the types of their arguments and structured results, and with `isEffect` schemas of
 * Effect beside them.
 *
 * **Details**
 *
 * A type admits every value that its JSON Schema admits. What has no type, such as `not` or `patternProperties`, is `unknown`. Names and
 * descriptions are text of the servers, and stay text: they cannot end a literal or a comment.
 *
 * @since 0.1.0
 */
import type { Tool } from "@mcp-sessions/core/Mcp"
import { docComment, Identifiers, key, pascal, quoted } from "./internal/emit/names.ts"
import { printSchema } from "./internal/emit/printSchemas.ts"
import { print } from "./internal/emit/printTypes.ts"
import { SchemaReader } from "./internal/emit/readSchema.ts"
import { type Definition, type Type, unknown } from "./internal/emit/type.ts"
import { isJsonObject, textOf } from "./internal/text.ts"

/**
 * The tools of one server.
 *
 * @category models
 * @since 0.1.0
 */
export interface ServerTools {
  readonly server: string
  readonly tools: ReadonlyArray<Tool>
}

interface ToolTypes {
  readonly name: string
  readonly description: string | undefined
  readonly args: Type
  /** The type of the structured result, if the tool describes it. */
  readonly result: Type | undefined
  readonly definitions: ReadonlyArray<Definition>
}

interface ServerTypes {
  readonly server: string
  readonly identifier: string
  readonly tools: ReadonlyArray<ToolTypes>
}

const anyObject: Type = { _tag: "Object", properties: [], rest: unknown() }

const isObject = (type: Type, definitions: ReadonlyArray<Definition>): boolean =>
  type._tag === "Object" ||
  (type._tag === "Union" && type.members.every((member) => isObject(member, definitions))) ||
  (type._tag === "Reference" &&
    definitions.some((definition) => definition.name === type.name && isObject(definition.type, definitions)))

const readTool = (tool: Tool, prefix: string, identifiers: Identifiers): ToolTypes => {
  const name = String(tool.name)
  const read = (schema: unknown, role: "Args" | "Result") => {
    const reader = new SchemaReader({ root: schema, prefix: `${prefix}${pascal(name)}${role}`, identifiers })
    const type = reader.read()
    const definitions = reader.definitions
    // Arguments and structured results are objects, whatever the schema says.
    return { type: isObject(type, definitions) ? type : anyObject, definitions }
  }
  const args = read(isJsonObject(tool.inputSchema) ? tool.inputSchema : true, "Args")
  const result = isJsonObject(tool.outputSchema) ? read(tool.outputSchema, "Result") : undefined
  return {
    name,
    description: textOf(tool.description),
    args: args.type,
    result: result?.type,
    definitions: [...args.definitions, ...result?.definitions ?? []]
  }
}

const readServer = ({ server, tools }: ServerTools, identifiers: Identifiers): ServerTypes => {
  const prefix = pascal(server) || "Server"
  const identifier = identifiers.take(`${prefix}Tools`)
  const byName = new Map<string, Tool>()
  for (const tool of tools) {
    if (typeof tool.name === "string" && !byName.has(tool.name)) byName.set(tool.name, tool)
  }
  return { server, identifier, tools: Array.from(byName.values(), (tool) => readTool(tool, prefix, identifiers)) }
}

const definitionText = ({ name, type }: Definition, isEffect: boolean): string =>
  `export type ${name} = ${print(type, "")}\n\n${
    isEffect ? `export const ${name}: Schema.Codec<${name}> = ${printSchema(type, "")}\n\n` : ""
  }`

const memberText = ({ args, description, name, result }: ToolTypes): string => {
  const inner = "    "
  const results = result === undefined ? "" : `${inner}readonly result: ${print(result, inner)}\n`
  return `${docComment(description === undefined ? [] : [description], "  ")}  readonly ${
    quoted(name)
  }: {\n${inner}readonly args: ${print(args, inner)}\n${results}  }\n`
}

/** Prints the schemas of a tool. Their types are those of the interface, so the compiler compares the two. */
const schemasText = ({ identifier }: ServerTypes, { args, name, result }: ToolTypes): string => {
  const inner = "    "
  const member = (role: "args" | "result", type: Type) =>
    `${inner}${role}: ${printSchema(type, inner)} satisfies Schema.Codec<${identifier}[${quoted(name)}]["${role}"]>`
  const members = [member("args", args), ...(result === undefined ? [] : [member("result", result)])]
  return `  ${key(name)}: {\n${members.join(",\n")}\n  }`
}

const serverText = (server: ServerTypes, isEffect: boolean): string => {
  const { identifier, tools } = server
  const definitions = tools.flatMap((tool) => tool.definitions).map((one) => definitionText(one, isEffect)).join("")
  const schemas = `export const ${identifier} = {\n${tools.map((tool) => schemasText(server, tool)).join(",\n")}\n}\n\n`
  return `${definitions}${docComment([`The tools of ${server.server}.`], "")}export interface ${identifier} {\n${
    tools.map(memberText).join("")
  }}\n\n${isEffect ? schemas : ""}`
}

/**
 * Prints the tools of servers as a module. Its interface `Servers` types sessions: `TypedSession.sessions<Servers>(…)`.
 *
 * @category rendering
 * @since 0.1.0
 */
export const emit = ({ isEffect, servers }: {
  readonly servers: ReadonlyArray<ServerTools>
  readonly isEffect: boolean
}): string => {
  const identifiers = new Identifiers()
  const all = servers.map((server) => readServer(server, identifiers))
  const head = `/* Types of the tools of MCP servers, made by "mcp-sessions emit-ts". */\n${
    isEffect ? "import { Schema } from \"effect\"\n" : ""
  }\n`
  const map = all.map(({ identifier, server }) => `  readonly ${quoted(server)}: ${identifier}\n`).join("")
  return `${head}${
    all.map((server) => serverText(server, isEffect)).join("")
  }/** The tools of each server. */\nexport interface Servers {\n${map}}\n`
}
