/**
 * `read`: reads a resource.
 */
import type { ReadResourceResult } from "@mcp-sessions/core/Mcp"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Attachment from "../Attachment.ts"
import * as Content from "../Content.ts"
import { UsageError } from "../Failure.ts"
import { Invocation } from "../Invocation.ts"
import { Output } from "../Output.ts"
import { printParts, saveParts } from "../Results.ts"
import { prepare } from "../Save.ts"
import { input, root, saveTo, timeout } from "./root.ts"
import { expectEnd, listCommand, selectServer } from "./selection.ts"
import { useServer } from "./useServer.ts"

/** Writes the bytes of the only contents. A terminal would obey them. */
const printBytes = Effect.fnUntraced(function*(contents: ReadonlyArray<unknown>) {
  const output = yield* Output
  const { stdout } = yield* Invocation
  const [attachment, ...others] = contents.map(Attachment.ofResource)
  if (attachment === undefined || others.length > 0) {
    return yield* new UsageError({
      problems: [`--raw: the resource has ${contents.length} contents that are not one text or blob`],
      hint: "leave --raw out, or use --save"
    })
  }
  if (!stdout.isTerminal) return yield* output.printBytes(attachment.data)
  return yield* new UsageError({
    problems: ["--raw: stdout is a terminal, which would obey the bytes of the resource"],
    hint: "redirect the output to a file, or use --save"
  })
})

const contentsOf = ({ contents }: ReadResourceResult): ReadonlyArray<unknown> => Array.isArray(contents) ? contents : []

export const read = Command.make("read", {
  words: Argument.String("server uri").pipe(
    Argument.withDescription("Name or URL of a server, or its command after --; and the URI of a resource"),
    Argument.variadic()
  ),
  raw: Flag.Boolean("raw").pipe(
    Flag.withDescription("Print the bytes of the resource exactly, and nothing else"),
    Flag.withDefault(false)
  ),
  save: saveTo("Save the contents to files of this directory, and print their paths"),
  input,
  timeout: timeout("Time limit for connecting, reading and closing together")
}, ({ input, raw, save, timeout, words }) =>
  Effect.gen(function*() {
    const output = yield* Output
    const { json } = yield* root
    const { rest, server } = yield* selectServer(words, "read")
    const [uri, ...more] = rest
    if (uri === undefined) {
      return yield* new UsageError({
        problems: [`missing the URI of a resource of ${server.name}`],
        hint: listCommand("resources", server)
      })
    }
    yield* expectEnd(more)
    const directory = Option.isNone(save) ? undefined : yield* prepare(save.value)
    const result = yield* useServer({ server, limit: timeout, json, input, method: "resources/read" })(
      ({ request, session }) => request(`reading ${uri}`, (options) => session.readResource(uri, options))
    )
    const contents = contentsOf(result)
    if (raw) return yield* printBytes(contents)
    const parts = contents.map((item) => ({
      text: Content.formatBlock({ type: "resource", resource: item }),
      attachment: Attachment.ofResource(item)
    }))
    if (!json) return yield* printParts({ parts, directory })
    yield* output.printJson(result)
    if (directory !== undefined) yield* output.noteJson({ saved: yield* saveParts({ parts, directory }) })
  })).pipe(
    Command.withDescription("Read a resource"),
    Command.withExamples([
      { command: "mcp-sessions read files file:///notes.md", description: "Print a text" },
      {
        command: "mcp-sessions read camera snap://1 --raw > snap.png",
        description: "Write the bytes of a blob to a file"
      }
    ])
  )
