/**
 * `watch`: prints the changes of a server as they come.
 */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { UsageError } from "../Failure.ts"
import { Output } from "../Output.ts"
import { line, type Shown } from "../Shown.ts"
import { type Event, events, listsOf } from "../Watch.ts"
import { root, timeout } from "./root.ts"
import { expectEnd, selectServer } from "./selection.ts"
import { timeOfDay, timestamp } from "./time.ts"
import { useServer } from "./useServer.ts"

const namesText = (...[mark, names]: readonly [mark: string, names: ReadonlyArray<string>]): string =>
  names.map((name) => ` ${mark}${name}`).join("")

const sentenceOf = (event: Event): Shown => {
  switch (event.event) {
    case "listed":
      return line`${event.total} ${event.list}`
    case "changed": {
      const { added, changed, list, removed, total } = event
      const names = namesText("+", added) + namesText("-", removed) + namesText("~", changed)
      return line`${list} changed:${names === "" ? " no difference" : names} (${total})`
    }
    case "subscribed":
      return line`subscribed to ${event.uri}`
    case "updated":
      return line`${event.uri} changed`
    case "missed":
      return line`${event.uri} may have changed while there was no connection`
  }
}

export const watch = Command.make("watch", {
  words: Argument.String("server").pipe(
    Argument.withDescription("Name or URL of a server; or its command after --"),
    Argument.variadic()
  ),
  resource: Flag.String("resource").pipe(
    Flag.withMetavar("uri"),
    Flag.withDescription("Resource to subscribe to; can be repeated"),
    Flag.atLeast(0)
  ),
  timeout: timeout("Time limit for connecting, and for each request")
}, ({ resource: uris, timeout, words }) =>
  Effect.gen(function*() {
    const output = yield* Output
    const { json } = yield* root
    const { rest, server } = yield* selectServer(words)
    yield* expectEnd(rest)
    yield* useServer({ server, limit: timeout, json, method: "subscriptions/listen" })(({ session }) =>
      Effect.gen(function*() {
        const { capabilities } = yield* session.connect
        const lists = listsOf(capabilities)
        if (lists.length === 0 && uris.length === 0) {
          return yield* new UsageError({ problems: [`${server.name} has no tools, resources or prompts to watch`] })
        }
        yield* output.progress(undefined)
        yield* Stream.runForEach(events({ session, lists, uris }), (event) =>
          Effect.gen(function*() {
            yield* json
              ? output.printJsonLine({ schema: "mcp-sessions/1", time: yield* timestamp, ...event })
              : output.print(line`${output.style("dim", yield* timeOfDay)} ${sentenceOf(event)}`)
          }))
      })
    )
  })).pipe(
    Command.withDescription("Print the changes of a server as they come: its lists, and single resources"),
    Command.withExamples([
      {
        command: "mcp-sessions watch files --resource file:///notes.md",
        description: "Watch the lists and one resource"
      },
      { command: "mcp-sessions watch files --json | jq .event", description: "Print one JSON document for each change" }
    ])
  )
