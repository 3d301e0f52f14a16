/**
 * Makes the JSON Schema of `mcp-sessions.json` from the schemas of server keys and their descriptions
 * (`packages/core/src/internal/config/keys.ts`). It accepts every file that loads; a few faults, such as a malformed reference to a
 * variable, are found by the decoder alone.
 */
import * as JsonSchema from "effect/JsonSchema"
import type * as Schema from "effect/Schema"
import { keyAliases, transportAliases } from "../packages/core/src/internal/config/decodeServer.ts"
import {
  descriptionOf,
  fieldsOf,
  type TransportKind,
  transportKinds
} from "../packages/core/src/internal/config/keys.ts"
import {
  headerNames,
  nonEmptyText,
  portable,
  unsafeVariable,
  variableNames
} from "../packages/core/src/internal/config/values.ts"
import { keys, sentences } from "./describedKeys.ts"
import { generated, interpolated, type Json, reference } from "./fileValues.ts"

// -----------------------------------------------------------------------------
// Keys
// -----------------------------------------------------------------------------

const aliasesOf = (key: string): ReadonlyArray<string> =>
  Object.entries(keyAliases).flatMap(([alias, of]) => of === key ? [alias] : [])

/** The names of a key, aliases included. */
const namesOf = (key: string): ReadonlyArray<string> => [key, ...aliasesOf(key)]

const transportNames = (kind: TransportKind): ReadonlyArray<string> => [
  kind,
  ...Object.entries(transportAliases).flatMap(([alias, of]) => of === kind ? [alias] : [])
]

/** Files write numbers and booleans into variables, too. */
const variablesOf = (env: Json): Json => ({
  ...env,
  propertyNames: variableNames,
  additionalProperties: {
    anyOf: [
      ...(env.additionalProperties as { readonly anyOf: ReadonlyArray<Json> }).anyOf,
      { type: "number" },
      { type: "boolean" }
    ]
  }
})

const words = generated(nonEmptyText)

/** The values of keys that files write in other forms than programs. */
const valueOf = (key: string, kinds: ReadonlyArray<TransportKind>): Json => {
  const [kind = "stdio"] = kinds
  const schema = generated(fieldsOf(kind)[key] as Schema.Constraint)
  switch (key) {
    case "transport":
      return { anyOf: [{ type: "string", enum: transportKinds.flatMap(transportNames) }, interpolated] }
    case "command":
      return { anyOf: [schema, { type: "array", items: words, minItems: 1 }] }
    case "url":
      return { type: "string" }
    case "env":
      return variablesOf(schema)
    case "headers":
      return { ...schema, propertyNames: headerNames }
    default:
      return schema
  }
}

/** The default, where it is the same for all transports. */
const defaultOf = (key: string, kinds: ReadonlyArray<TransportKind>): Json => {
  const values = kinds.map((kind) => descriptionOf({ key, kind })?.defaultValue)
  const [value] = values
  return value !== undefined && new Set(values.map((value) => JSON.stringify(value))).size === 1
    ? { default: value }
    : {}
}

const properties: Readonly<Record<string, Json>> = Object.fromEntries(keys.flatMap((described) => {
  const { key, kinds } = described
  const value = valueOf(key, kinds)
  return [
    [key, { description: sentences(described), ...defaultOf(key, kinds), ...value }] as const,
    ...aliasesOf(key).map((name) =>
      [name, {
        ...value,
        description: name === "enabled" ? "The opposite of `disabled`." : `Another name of \`${key}\`.`
      }] as const
    )
  ]
}))

const envFile: Json = {
  description:
    "Names a file with variables of the program, relative to the folder of the project. Variables of `env` win over those of the file.",
  ...words
}

const remoteNames = namesOf("url")

// -----------------------------------------------------------------------------
// Transports
// -----------------------------------------------------------------------------

/** Editors explain a conditional better than alternatives. */
// eslint-disable-next-line unicorn/no-thenable
const when = (condition: Json, consequence: Json): Json => ({ if: condition, then: consequence })

const given = (names: ReadonlyArray<string>): Json => ({ anyOf: names.map((name) => ({ required: [name] })) })

const isNamed = (kind: TransportKind): ReadonlyArray<Json> =>
  namesOf("transport").map((key) => ({ properties: { [key]: { enum: transportNames(kind) } }, required: [key] }))

const isUnnamed: Json = { not: given(namesOf("transport")) }

const hasUrl = (pattern: string): Json => ({
  anyOf: remoteNames.map((key) => ({ properties: { [key]: { type: "string", pattern } }, required: [key] }))
})

const isWebSocketUrl = hasUrl(portable(/^wss?:/i))

/** The definitions without a transport that a `command` or `url` decides. A URL that starts with a reference decides nothing. */
const inferred: Readonly<Record<TransportKind, ReadonlyArray<Json>>> = {
  stdio: [{ allOf: [isUnnamed, { required: ["command"] }] }],
  streamable_http: [
    { allOf: [isUnnamed, { not: { required: ["command"] } }, hasUrl(String.raw`^(?!\$?\{)`), { not: isWebSocketUrl }] }
  ],
  sse: [],
  websocket: [{ allOf: [isUnnamed, { not: { required: ["command"] } }, isWebSocketUrl] }]
}

/** The keys that a transport does not have, and what its URL has to be. */
const rules: ReadonlyArray<Json> = transportKinds.map((kind) => {
  const misplaced = keys.filter(({ kinds }) => !kinds.includes(kind)).flatMap(({ key }) => namesOf(key))
  const url = fieldsOf(kind).url
  return when({ anyOf: [...isNamed(kind), ...inferred[kind]] }, {
    ...(url === undefined ? { required: ["command"] } : given(remoteNames)),
    properties: {
      ...Object.fromEntries(misplaced.map((key) => [key, false])),
      ...(url === undefined
        ? {}
        : { envFile: false, ...Object.fromEntries(remoteNames.map((key) => [key, generated(url)])) })
    }
  })
})

/** A key and its aliases exclude each other. */
const exclusive: Json = Object.fromEntries(
  keys.map(({ key }) => namesOf(key)).filter((names) => names.length > 1).flatMap((names) =>
    names.map((name) => [
      name,
      { properties: Object.fromEntries(names.filter((other) => other !== name).map((other) => [other, false])) }
    ])
  )
)

const unsafe = portable(unsafeVariable)

/** Unsafe variables need `allowUnsafeEnv`. To remove one does not. */
const safeVariables: Json = when(
  { not: { properties: { allowUnsafeEnv: { const: true } }, required: ["allowUnsafeEnv"] } },
  {
    properties: {
      ...Object.fromEntries(namesOf("env").map((key) => [key, { patternProperties: { [unsafe]: { type: "null" } } }])),
      inheritEnv: { items: { not: { pattern: unsafe } } }
    }
  }
)

/** A command that lists its arguments has no others. */
const oneListOfArguments: Json = when(
  { properties: { command: { type: "array", minItems: 2 } }, required: ["command"] },
  { properties: { args: false } }
)

const server: Json = {
  type: "object",
  properties: { ...properties, envFile },
  additionalProperties: false,
  ...given([...namesOf("transport"), "command", ...remoteNames]),
  dependentSchemas: exclusive,
  allOf: [...rules, safeVariables, oneListOfArguments]
}

// -----------------------------------------------------------------------------
// The document
// -----------------------------------------------------------------------------

const inputs: Json = {
  description: "Declares values that are asked at a terminal, or taken from `MCP_SESSIONS_INPUT_<ID>`: `${input:id}`.",
  type: "array",
  items: {
    type: "object",
    properties: {
      id: { description: "The name of the input in `${input:id}`.", type: "string", minLength: 1 },
      type: { description: "The kind of input, as in VS Code.", type: "string" },
      description: { description: "The question.", type: "string" },
      password: { description: "Whether the answer is hidden.", type: "boolean" },
      default: { description: "The answer if nothing is typed.", type: "string" },
      options: {
        description: "The answers to pick from.",
        type: "array",
        items: {
          anyOf: [
            { type: "string" },
            { type: "object", properties: { value: { type: "string" } }, required: ["value"] }
          ]
        }
      }
    },
    required: ["id"]
  }
}

const servers: Json = {
  description: "Defines servers by name.",
  type: "object",
  additionalProperties: { $ref: "#/$defs/server" }
}

/** The JSON Schema of `mcp-sessions.json`, in the draft that editors know best. */
export const configSchema: Json = (() => {
  const { definitions, schema } = JsonSchema.toDocumentDraft07({
    dialect: "draft-2020-12",
    schema: {
      title: "mcp-sessions.json",
      description: "MCP servers for mcp-sessions. Texts of definitions may hold `${NAME}` and `${NAME:-default}`.",
      type: "object",
      properties: {
        $schema: { description: "The location of this schema, for editors.", type: "string" },
        servers,
        mcpServers: { ...servers, description: "Another name of `servers`." },
        inputs
      },
      additionalProperties: false,
      oneOf: [{ required: ["servers"] }, { required: ["mcpServers"] }, { maxProperties: 0 }]
    },
    definitions: { server, reference }
  })
  return { $schema: JsonSchema.META_SCHEMA_URI_DRAFT_07, ...schema, definitions }
})()
