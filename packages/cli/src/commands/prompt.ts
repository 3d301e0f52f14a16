/**
 * `prompt`: expands a prompt into its messages.
 */
import type { Prompt } from "@mcp-sessions/core/Mcp"
import { closest } from "@mcp-sessions/core/Suggestion"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import type { ConfiguredServer } from "../Configured.ts"
import * as Content from "../Content.ts"
import { UsageError } from "../Failure.ts"
import { isJsonObject, quote, textOf } from "../internal/text.ts"
import { Invocation } from "../Invocation.ts"
import { Output } from "../Output.ts"
import * as PromptArguments from "../PromptArguments.ts"
import { line } from "../Shown.ts"
import { input, root, timeout } from "./root.ts"
import { listCommand, selectItem } from "./selection.ts"
import { useServer } from "./useServer.ts"

/** Finds a prompt by name. An unknown name fails with a suggestion. */
const findPrompt = (options: {
  readonly prompts: ReadonlyArray<Prompt>
  readonly server: ConfiguredServer
  readonly prompt: string
}): Effect.Effect<Prompt, UsageError> => {
  const { prompt, prompts, server } = options
  const found = prompts.find((found) => isJsonObject(found) && found.name === prompt)
  if (found !== undefined) return Effect.succeed(found)
  const names = prompts.flatMap((found) => isJsonObject(found) && typeof found.name === "string" ? [found.name] : [])
  const suggestion = closest(prompt, names)
  return Effect.fail(
    new UsageError({
      problems: [
        `the server ${server.name} has no prompt "${prompt}"${
          suggestion === undefined ? "" : `; did you mean "${suggestion}"?`
        }`
      ],
      hint: listCommand("prompts", server)
    })
  )
}

/** Formats the content of a message: one block, or several from servers that send a list. */
const textOfContent = (content: unknown): string =>
  (Array.isArray(content) ? content : [content]).map(Content.formatBlock).join("\n")

const printMessages = Effect.fnUntraced(function*(messages: ReadonlyArray<unknown>) {
  const output = yield* Output
  for (const message of messages) {
    if (!isJsonObject(message)) yield* output.printContent(quote(message))
    else {
      yield* output.print(line`${output.style("bold", textOf(message.role) ?? quote(message.role))}:`)
      yield* output.printContent(textOfContent(message.content))
    }
  }
})

export const prompt = Command.make("prompt", {
  words: Argument.String("server/prompt").pipe(
    Argument.withDescription("Prompt to expand, and its arguments as key=value or key=@file"),
    Argument.variadic()
  ),
  validate: Flag.Boolean("validate").pipe(
    Flag.withDescription(
      "Check the arguments against those that the prompt declares (--no-validate: send them unchecked)"
    ),
    Flag.withDefault(true)
  ),
  input,
  timeout: timeout("Time limit for connecting, expanding and closing together")
}, ({ input, timeout, validate, words }) =>
  Effect.gen(function*() {
    const output = yield* Output
    const { json } = yield* root
    const { directory } = yield* Invocation
    const { item, rest, server } = yield* selectItem({ words, kind: "prompt", command: "prompt" })
    const result = yield* useServer({ server, limit: timeout, json, input, method: "prompts/get" })(
      ({ request, session }) =>
        Effect.gen(function*() {
          const prompts = yield* request(`listing the prompts of ${server.name}`, () => session.listPrompts())
          const found = yield* findPrompt({ prompts, server, prompt: item })
          const args = yield* PromptArguments.read({ prompt: found, words: rest, validate, directory })
          return yield* request(`expanding ${item}`, (options) => session.getPrompt(item, args, options))
        })
    )
    if (json) return yield* output.printJson(result)
    yield* printMessages(Array.isArray(result.messages) ? result.messages : [])
  })).pipe(
    Command.withDescription("Expand a prompt into its messages"),
    Command.withExamples([
      { command: "mcp-sessions prompt notes/summarize style=short", description: "Pass arguments by name" },
      { command: "mcp-sessions prompt code/review code=@main.ts --json", description: "Read an argument from a file" }
    ])
  )
