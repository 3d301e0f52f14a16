/**
 * Names for completion that come from sessions: tools and their arguments, prompts, resources.
 *
 * @since 0.1.0
 */
import type { Prompt, Tool } from "@mcp-sessions/core/Mcp"
import type { Session } from "@mcp-sessions/core/Session"
import type { Sessions } from "@mcp-sessions/core/Sessions"
import * as Effect from "effect/Effect"
import type { Candidate, Sources } from "./Completion.ts"
import { isJsonObject, summaryOf, textOf } from "./internal/text.ts"

/** How long a completion waits for a server. A user waits for the key. */
const timeout = "2 seconds"

const describe = (...[value, description]: readonly [value: unknown, description: unknown]): ReadonlyArray<Candidate> =>
  typeof value === "string" ? [{ value, description: summaryOf(textOf(description) ?? "") }] : []

/** The values that the schema of an argument lists. */
const listedValues = (schema: unknown): ReadonlyArray<string> => {
  if (!isJsonObject(schema)) return []
  const { anyOf, const: constant, enum: members, items, oneOf, type } = schema
  if (Array.isArray(members)) return members.map(String)
  if (constant !== undefined) return [String(constant)]
  if (type === "boolean") return ["true", "false"]
  if (type === "array") return listedValues(items)
  return [anyOf, oneOf].flatMap((list) => Array.isArray(list) ? list.flatMap(listedValues) : [])
}

const argumentsOf = (...[tool, partial]: readonly [tool: Tool, partial: string]): ReadonlyArray<Candidate> => {
  const schema: unknown = tool.inputSchema
  const properties = isJsonObject(schema) && isJsonObject(schema.properties) ? schema.properties : {}
  const key = /^([^=:]+)=/.exec(partial)?.[1]
  if (key !== undefined) {
    const property = Object.hasOwn(properties, key) ? properties[key] : undefined
    return listedValues(property).map((value) => ({ value: `${key}=${value}` }))
  }
  return Object.entries(properties).flatMap(([name, property]) =>
    describe(`${name}=`, isJsonObject(property) ? property.description : undefined)
  )
}

const promptArguments = Effect.fnUntraced(function*(session: Session, prompt: Prompt, partial: string) {
  const [, key, start = ""] = /^([^=:]+)=(.*)$/s.exec(partial) ?? []
  if (key === undefined) {
    const listed = Array.isArray(prompt.arguments) ? prompt.arguments : []
    return listed.flatMap(({ description, name }) => describe(`${name}=`, description))
  }
  const { values } = yield* session.complete({ type: "ref/prompt", name: prompt.name }, { name: key, value: start })
  return values.map((value): Candidate => ({ value: `${key}=${value}` }))
})

/**
 * Makes sources of the sessions of these servers. A server that does not answer in 2 seconds has no names.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = ({ servers, sessions }: {
  readonly sessions: Sessions["Service"]
  readonly servers: ReadonlyArray<string>
}): Sources<never> => {
  const ask = <E>(
    server: string,
    list: (session: Session) => Effect.Effect<ReadonlyArray<Candidate>, E>
  ): Effect.Effect<ReadonlyArray<Candidate>> =>
    servers.includes(server)
      ? sessions.use(server, list).pipe(Effect.timeout(timeout), Effect.orElseSucceed(() => []))
      : Effect.succeed([])
  return {
    servers: Effect.succeed(servers),
    tools: (server) =>
      ask(
        server,
        (session) =>
          Effect.map(session.listTools(), (tools) =>
            tools.flatMap(({ description, name }) => describe(name, description)))
      ),
    prompts: (server) =>
      ask(server, (session) =>
        Effect.map(
          session.listPrompts(),
          (prompts) => prompts.flatMap(({ description, name }) => describe(name, description))
        )),
    resources: (server) =>
      ask(server, (session) =>
        Effect.map(
          session.listResources(),
          (resources) => resources.flatMap(({ name, uri }) => describe(uri, name))
        )),
    args: ({ item, kind, partial, server }) =>
      ask<unknown>(server, (session) =>
        kind === "tool"
          ? Effect.map(
            session.listTools(),
            (tools) => tools.filter(({ name }) => name === item).flatMap((tool) => argumentsOf(tool, partial))
          )
          : Effect.flatMap(session.listPrompts(), (prompts) => {
            const prompt = prompts.find(({ name }) => name === item)
            return prompt === undefined ? Effect.succeed([]) : promptArguments(session, prompt, partial)
          }))
  }
}
