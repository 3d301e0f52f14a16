/**
 * `prompts`: lists the prompts of a server.
 */
import type { Prompt } from "@mcp-sessions/core/Mcp"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import { isJsonObject, quote, summaryOf, textOf } from "../internal/text.ts"
import { Output } from "../Output.ts"
import { signatureOf } from "../PromptArguments.ts"
import { cut, line, name } from "../Shown.ts"
import { columns } from "../Table.ts"
import { root, timeout } from "./root.ts"
import { expectEnd, selectServer } from "./selection.ts"
import { useServer } from "./useServer.ts"

/** How much of a description is shown, in characters. */
const descriptionLimit = 100

const print = Effect.fnUntraced(function*(items: ReadonlyArray<Prompt>) {
  const output = yield* Output
  const cells = items.map((prompt) => [
    output.style("bold", isJsonObject(prompt) ? signatureOf(prompt) : quote(prompt)),
    output.style("dim", cut(name(summaryOf(textOf(prompt.description) ?? "")), descriptionLimit))
  ])
  yield* Effect.forEach(columns(cells), output.print, { discard: true })
})

export const prompts = Command.make("prompts", {
  words: Argument.String("server").pipe(
    Argument.withDescription("Name or URL of a server; or its command after --"),
    Argument.variadic()
  ),
  timeout: timeout("Time limit")
}, ({ timeout, words }) =>
  Effect.gen(function*() {
    const output = yield* Output
    const { json } = yield* root
    const { rest, server } = yield* selectServer(words)
    yield* expectEnd(rest)
    const items = yield* useServer({ server, limit: timeout, json, method: "prompts/list" })(({ request, session }) =>
      request(`listing the prompts of ${server.name}`, () => session.listPrompts())
    )
    if (json) return yield* output.printJson(items)
    yield* items.length === 0 ? output.note(line`no prompts found`) : print(items)
  })).pipe(
    Command.withDescription("List the prompts of a server with their arguments"),
    Command.withExamples([{ command: "mcp-sessions prompts notes", description: "List prompts" }])
  )
