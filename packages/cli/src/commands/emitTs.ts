/**
 * `emit-ts`: prints the types of the tools of servers.
 */
import { Sessions } from "@mcp-sessions/core/Sessions"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { ServerCommand } from "../AdHoc.ts"
import { errorOf } from "../Configured.ts"
import * as EmitTs from "../EmitTs.ts"
import { UsageError } from "../Failure.ts"
import { replaceFile } from "../internal/replaceFile.ts"
import { Invocation } from "../Invocation.ts"
import { Output } from "../Output.ts"
import { line } from "../Shown.ts"
import { root, timeout } from "./root.ts"
import { chooseServers } from "./selection.ts"
import { withRetryNotes, withSessions, withTimeLimit } from "./sessions.ts"

export const emitTs = Command.make("emit-ts", {
  servers: Argument.String("server").pipe(
    Argument.withDescription("Names or URLs of servers whose tools to describe, or the command of one after --"),
    Argument.variadic()
  ),
  effect: Flag.Boolean("effect").pipe(
    Flag.withDescription("Print schemas of Effect beside the types"),
    Flag.withDefault(false)
  ),
  out: Flag.String("out").pipe(
    Flag.withMetavar("file"),
    Flag.withDescription("File to write, in place of standard output"),
    Flag.optional
  ),
  timeout: timeout("Time limit for each server")
}, ({ effect, out, servers: names, timeout }) =>
  Effect.gen(function*() {
    const output = yield* Output
    const { directory } = yield* Invocation
    const { json } = yield* root
    if (names.length === 0 && (yield* ServerCommand).length === 0) {
      return yield* new UsageError({ problems: ["missing argument <server>"], hint: "mcp-sessions servers" })
    }
    const { servers } = yield* chooseServers(names)
    // A file without some of its servers would be a wrong one.
    const unusable = errorOf(servers)
    if (unusable !== undefined) return yield* unusable
    const listed = yield* Effect.forEach(servers, ({ name }) =>
      Effect.flatMap(Sessions, (sessions) =>
        sessions.use(name, (session) => session.listTools())).pipe(
          withTimeLimit({ server: name, limit: timeout }),
          Effect.map((tools): EmitTs.ServerTools => ({ server: name, tools }))
        ), { concurrency: "unbounded" }).pipe(
        withSessions({ servers, limit: timeout, retry: yield* withRetryNotes(json) })
      )
    const text = EmitTs.emit({ servers: listed, isEffect: effect })
    if (Option.isNone(out)) {
      return yield* output.printContent(text.trimEnd())
    }
    yield* replaceFile({ directory, path: out.value, text }).pipe(
      Effect.mapError((refusal) =>
        new UsageError({ problems: [`--out: ${refusal}`] })
      )
    )
    yield* output.note(line`wrote ${out.value}`)
  })).pipe(
    Command.withDescription("Print the types of the tools of servers as TypeScript"),
    Command.withExamples([
      { command: "mcp-sessions emit-ts files --out files.ts", description: "Write the types of one server" },
      { command: "mcp-sessions emit-ts files db --effect", description: "Print types and schemas of Effect" }
    ])
  )
