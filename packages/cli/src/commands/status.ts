/**
 * `status`: the state of held sessions. Asks no server.
 */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import { CheckFailed } from "../Failure.ts"
import { Output } from "../Output.ts"
import * as Status from "../Status.ts"
import { requireHeld, requireHeldServers } from "./held.ts"
import { root } from "./root.ts"

export const status = Command.make("status", {
  names: Argument.String("server").pipe(
    Argument.withDescription("Servers to show (default: all held servers)"),
    Argument.variadic()
  ),
  allow: Flag.String("allow").pipe(
    Flag.withMetavar("server"),
    Flag.withDescription("Server that may be unhealthy; can be repeated"),
    Flag.atLeast(0)
  )
}, ({ allow, names }) =>
  Effect.gen(function*() {
    const output = yield* Output
    const { json } = yield* root
    const held = yield* requireHeld("mcp-sessions up")
    const { holder } = held
    yield* requireHeldServers(held, [...names, ...allow])
    const rows = yield* Effect.forEach(
      holder.servers.filter((name) => names.length === 0 || names.includes(name)),
      (server) => Status.read(held, server)
    )
    if (json) yield* output.printJson(yield* Status.toJson(holder, rows))
    else yield* Effect.forEach(yield* Status.table(holder, rows), output.print, { discard: true })
    const unhealthy = rows.filter(({ isHealthy, name }) => !isHealthy && !allow.includes(name))
    if (unhealthy.length > 0) return yield* new CheckFailed({ servers: unhealthy.map(({ name }) => name) })
  })).pipe(Command.withDescription("Show the state of the sessions that `up` or `with` holds"))
