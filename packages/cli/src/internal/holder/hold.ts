/**
 * Holds sessions and lends them to the commands that clients of a socket run.
 *
 * Everything is released in order when the holder ends: commands are cancelled, sessions closed, the socket removed.
 */
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FiberSet from "effect/FiberSet"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import process from "node:process"
import { CommandLine } from "../../CommandLine.ts"
import type { Configured } from "../../Configured.ts"
import type { Holder } from "../../HeldSessions.ts"
import { Invocation } from "../../Invocation.ts"
import { format } from "../socket/address.ts"
import { heldCommandOf } from "../socket/heldCommand.ts"
import { listen, type ListenFailed } from "../socket/listen.ts"
import { RemoteClient } from "../socket/remoteClient.ts"
import { watchAges } from "./connectionAges.ts"
import { greet } from "./greet.ts"
import { type Lent, runCommand } from "./runCommand.ts"

/** How long the client of `down` may take to read that all is released. */
const farewellTimeout = "1 second"

/** A holder that listens. */
export interface Opening {
  /** The address of the socket, as clients parse it. */
  readonly socket: string
  readonly pid: number
  /**
   * Lends sessions to clients for as long as the scope. The commands that use them are cancelled before the sessions close.
   */
  readonly lend: (opened: Pick<Lent, "logs" | "sessions" | "switchboard">) => Effect.Effect<void, never, Scope.Scope>
  /** Waits until a client asks for the end. */
  readonly stopped: Effect.Effect<void>
  /** Emits an element when a command starts or ends: the number of commands that run. */
  readonly load: Queue.Dequeue<number>
}

/**
 * Listens for clients while `use` runs, and then tells those that asked for the end. Clients are served as soon as sessions are lent, and run their commands
 * by themselves until then.
 */
export const hold = Effect.fnUntraced(function*<A, E, R>(
  options: {
    readonly command: Holder["command"]
    /** The directory for which clients find the holder; for `with`, only its own command does. */
    readonly project: string
    readonly configured: Configured
    readonly names: ReadonlyArray<string>
    /** Whether the configuration is unchanged. After a change, only commands that concern the holder are served. */
    readonly isCurrent: Effect.Effect<boolean>
    /** Whether a directory has a configuration of its own. Commands there are not served, but those that concern the holder. */
    readonly hasOwnConfiguration: (directory: string) => Effect.Effect<boolean>
  },
  use: (opening: Opening) => Effect.Effect<A, E, R>
): Effect.fn.Return<A, E | ListenFailed, CommandLine | Invocation | Exclude<R, Scope.Scope> | Scope.Scope> {
  const { command, configured, hasOwnConfiguration, isCurrent, names, project } = options
  const { run } = yield* CommandLine
  const { environment } = yield* Invocation
  const startedAt = yield* Clock.monotonicTimeNanos
  const stopped = yield* Deferred.make<void>()
  const released = yield* Deferred.make<void>()
  const load = yield* Queue.sliding<number>(1)
  const stopping = new Set<RemoteClient>()
  let running = 0
  let current: { readonly lent: Lent; readonly commands: FiberSet.FiberSet<void> } | undefined

  const holderOf = (connection: Holder["connection"]): Holder => ({
    command,
    project,
    pid: process.pid,
    servers: names,
    uptime: Effect.map(Clock.monotonicTimeNanos, (now) => Math.round(Number(now - startedAt) / 1e6)),
    connection,
    stop: Effect.andThen(Deferred.succeed(stopped, undefined), Deferred.await(released))
  })

  const count = (change: 1 | -1) =>
    Effect.suspend(() => {
      running += change
      return Queue.offer(load, running)
    })

  const serve = Effect.fnUntraced(function*(client: RemoteClient) {
    const hello = yield* greet(client, {
      environment,
      token: address.token,
      isOpen: () => current !== undefined,
      isCurrent,
      hasOwnConfiguration,
      project
    })
    if (hello === undefined || current === undefined) return
    const { commands, lent } = current
    const served = Effect.acquireUseRelease(
      count(1),
      () => runCommand({ client, hello, lent, environment, run }),
      () => count(-1)
    )
    // The command that asks for the end outlives the sessions.
    if (heldCommandOf(hello.words) === "down") {
      stopping.add(client)
      yield* served
    } else yield* Fiber.await(yield* FiberSet.run(commands, served))
  })

  const fork = yield* FiberSet.makeRuntime<never>()
  const address = yield* listen({
    environment,
    project: command === "up" ? project : undefined,
    onClient: (socket) => {
      const client = new RemoteClient(socket)
      fork(Effect.ensuring(serve(client), Effect.sync(() => client.end())))
    }
  })

  const lend: Opening["lend"] = Effect.fnUntraced(function*(opened) {
    const connection = yield* watchAges(opened.sessions, names)
    const commands = yield* FiberSet.make<void>()
    yield* Effect.acquireRelease(
      Effect.sync(() => {
        current = { lent: { ...opened, configured, holder: holderOf(connection) }, commands }
      }),
      () =>
        Effect.sync(() => {
          current = undefined
        })
    )
  })

  const result = yield* Effect.ensuring(
    Effect.scoped(use({ socket: format(address), pid: process.pid, lend, stopped: Deferred.await(stopped), load })),
    Effect.andThen(
      Deferred.succeed(released, undefined),
      Effect.timeoutOption(Effect.forEach(stopping, (client) => client.closed, { discard: true }), farewellTimeout)
    )
  )
  return result
})
