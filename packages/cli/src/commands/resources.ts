/**
 * `resources`: lists the resources of a server, or its templates of resources.
 */
import type { Resource, ResourceTemplate } from "@mcp-sessions/core/Mcp"
import type { SessionError } from "@mcp-sessions/core/SessionError"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import { isJsonObject, quote, summaryOf, textOf } from "../internal/text.ts"
import { Output } from "../Output.ts"
import { cut, line, name, type Shown } from "../Shown.ts"
import { columns } from "../Table.ts"
import { root, timeout } from "./root.ts"
import { expectEnd, listCommand, selectServer } from "./selection.ts"
import { useServer } from "./useServer.ts"

type Items = ReadonlyArray<Resource | ResourceTemplate>

/** How much of a description is shown, in characters. */
const descriptionLimit = 100

/** Returns the words about a resource: its title or name, its type and the beginning of its description. */
const detailsOf = (item: Readonly<Record<string, unknown>>): string =>
  [textOf(item.title) ?? textOf(item.name), textOf(item.mimeType), summaryOf(textOf(item.description) ?? "")]
    .filter((text) => text !== undefined && text !== "").join(" · ")

const rowOf = (item: Resource | ResourceTemplate): ReadonlyArray<Shown> => {
  if (!isJsonObject(item)) return [name(quote(item))]
  const { uri, uriTemplate } = item as Readonly<Record<string, unknown>>
  return [name(textOf(uri) ?? textOf(uriTemplate) ?? quote(item)), cut(name(detailsOf(item)), descriptionLimit)]
}

const print = Effect.fnUntraced(function*(items: Items) {
  const output = yield* Output
  const cells = items.map(rowOf).map(([uri = name(""), details = name("")]) => [
    output.style("bold", uri),
    output.style("dim", details)
  ])
  yield* Effect.forEach(columns(cells), output.print, { discard: true })
})

export const resources = Command.make("resources", {
  words: Argument.String("server").pipe(
    Argument.withDescription("Name or URL of a server; or its command after --"),
    Argument.variadic()
  ),
  templates: Flag.Boolean("templates").pipe(
    Flag.withDescription("List templates of resources instead"),
    Flag.withDefault(false)
  ),
  timeout: timeout("Time limit")
}, ({ templates, timeout, words }) =>
  Effect.gen(function*() {
    const output = yield* Output
    const { json } = yield* root
    const { rest, server } = yield* selectServer(words)
    yield* expectEnd(rest)
    const method = templates ? "resources/templates/list" : "resources/list"
    const items = yield* useServer({ server, limit: timeout, json, method })(({ request, session }) =>
      request(`listing the resources of ${server.name}`, (): Effect.Effect<Items, SessionError> =>
        templates ? session.listResourceTemplates() : session.listResources())
    )
    if (json) {
      return yield* output.printJson(items)
    }
    if (items.length > 0) {
      return yield* print(items)
    }
    yield* output.note(line`no ${templates ? "templates" : "resources"} found`)
    const hint = listCommand("resources --templates", server)
    if (!templates && hint !== undefined) {
      yield* output.note(line`  try: ${hint}`)
    }
  })).pipe(
    Command.withDescription("List the resources of a server"),
    Command.withExamples([
      { command: "mcp-sessions resources files", description: "List resources with their types" },
      { command: "mcp-sessions resources files --templates", description: "List templates, such as file:///{path}" }
    ])
  )
