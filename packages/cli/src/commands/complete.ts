/**
 * `complete`: asks a server for completions of an argument.
 */
import type { CompletionReference } from "@mcp-sessions/core/Mcp"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import { UsageError } from "../Failure.ts"
import { quote, textOf } from "../internal/text.ts"
import { Output } from "../Output.ts"
import { line, name } from "../Shown.ts"
import { root, timeout } from "./root.ts"
import { selectItem } from "./selection.ts"
import { useServer } from "./useServer.ts"

/** Returns what an argument belongs to: URIs and their templates have a scheme or a variable, names of prompts do not. */
const referenceOf = (item: string): CompletionReference =>
  /^[a-z][\w+.-]*:\/\/|\{/i.test(item) ? { type: "ref/resource", uri: item } : { type: "ref/prompt", name: item }

const pairOf = (word: string): readonly [name: string, value: string] | undefined => {
  const at = word.indexOf("=")
  return at > 0 ? [word.slice(0, at), word.slice(at + 1)] : undefined
}

const expected = "expected argument=prefix, and the values of other arguments as argument=value after it"

export const complete = Command.make("complete", {
  words: Argument.String("server/prompt").pipe(
    Argument.withDescription(
      "Prompt, or template of resources, of a server; argument=prefix to complete; and argument=value of other arguments"
    ),
    Argument.variadic()
  ),
  timeout: timeout("Time limit for connecting, completing and closing together")
}, ({ timeout, words }) =>
  Effect.gen(function*() {
    const output = yield* Output
    const { json } = yield* root
    const { item, rest, server } = yield* selectItem({ words, kind: "prompt", command: "complete" })
    const pairs = rest.map(pairOf)
    const [first, ...others] = pairs
    if (first === undefined || others.includes(undefined)) {
      return yield* new UsageError({ problems: [rest.length === 0 ? `missing argument; ${expected}` : expected] })
    }
    const [argument, value] = first
    const context = Object.fromEntries(others.flatMap((pair) => pair === undefined ? [] : [pair]))
    const completion = yield* useServer({ server, limit: timeout, json, method: "completion/complete" })(
      ({ request, session }) =>
        request(
          `completing ${argument}`,
          (options) =>
            session.complete(referenceOf(item), { name: argument, value }, { timeout: options.timeout, context })
        )
    )
    if (json) return yield* output.printJson(completion)
    const values: ReadonlyArray<unknown> = Array.isArray(completion.values) ? completion.values : []
    yield* Effect.forEach(values, (value) => output.print(name(textOf(value) ?? quote(value))), { discard: true })
    const total = typeof completion.total === "number" ? completion.total : undefined
    if (total !== undefined && total > values.length) {
      yield* output.note(line`${total - values.length} more; give a longer prefix`)
    } else if (completion.hasMore === true) yield* output.note(line`there are more; give a longer prefix`)
    else if (values.length === 0) yield* output.note(line`no completions found`)
  })).pipe(
    Command.withDescription("Ask a server for completions of an argument"),
    Command.withExamples([
      { command: "mcp-sessions complete notes/summarize style=sh", description: "Complete an argument of a prompt" },
      {
        command: "mcp-sessions complete 'files/file:///{path}' path=READ",
        description: "Complete a variable of a template"
      }
    ])
  )
