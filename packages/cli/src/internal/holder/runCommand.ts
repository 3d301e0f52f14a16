/**
 * Runs the command of a client at the process that holds its sessions.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type { CommandLine } from "../../CommandLine.ts"
import { type Held, HeldSessions } from "../../HeldSessions.ts"
import { Invocation, type OutputStream } from "../../Invocation.ts"
import { kinds } from "../socket/frames.ts"
import type { Hello, RemoteClient } from "../socket/remoteClient.ts"

/** The sessions that a holder lends to commands. */
export type Lent = Omit<Held, "refuse" | "use">

type Ending =
  | { readonly _tag: "Exited"; readonly status: number }
  | { readonly _tag: "Declined" }
  | { readonly _tag: "Gone" }

const exited = (status: number): Ending => ({ _tag: "Exited", status })

/** The status of a command that its user has cancelled. The client knows the signal. */
const cancelledStatus = 130

/** Runs a command until it ends, its client cancels it, or the client is gone. */
export const runCommand = Effect.fnUntraced(function*(options: {
  readonly client: RemoteClient
  readonly hello: Hello
  readonly lent: Lent
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly run: CommandLine["Service"]["run"]
}) {
  const { client, environment, hello, lent, run } = options
  const declined = yield* Deferred.make<void>()
  const decline = Effect.andThen(Deferred.succeed(declined, undefined), Effect.never)
  let isInUse = false
  const held: Held = {
    ...lent,
    use: (servers) =>
      Effect.suspend(() => {
        if (!isInUse && !servers.every((server) => lent.holder.servers.includes(server))) return decline
        isInUse = true
        return Effect.void
      }),
    refuse: Effect.suspend(() => isInUse ? Effect.void : decline)
  }
  // What was read or printed cannot be read or printed again by the caller.
  const used = <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, E> =>
    Effect.suspend(() => {
      isInUse = true
      return effect
    })
  const output = (name: "stdout" | "stderr"): OutputStream => {
    const stream = client.output(name, hello)
    return { ...stream, write: (text) => used(stream.write(text)) }
  }
  const stdin = client.input(hello)
  const invocation: Invocation["Service"] = {
    environment: { ...environment, ...hello.display },
    directory: hello.directory,
    stdin: {
      ...stdin,
      readAll: (limit) => used(stdin.readAll(limit)),
      readLine: (options) => used(stdin.readLine(options))
    },
    stdout: output("stdout"),
    stderr: output("stderr")
  }
  const ending = yield* run(hello.words).pipe(
    Effect.provideService(HeldSessions, held),
    Effect.provideService(Invocation, invocation),
    Effect.map(exited),
    Effect.raceFirst(Effect.as(client.cancelled, exited(cancelledStatus))),
    Effect.raceFirst(Effect.as(Deferred.await(declined), { _tag: "Declined" } satisfies Ending)),
    Effect.raceFirst(Effect.as(client.closed, { _tag: "Gone" } satisfies Ending))
  )
  if (ending._tag === "Exited") client.send(kinds.exit, { status: ending.status })
  if (ending._tag === "Declined") client.send(kinds.decline, {})
})
