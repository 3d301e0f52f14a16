/**
 * The number and the age of held connections.
 */
import type { Sessions } from "@mcp-sessions/core/Sessions"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Holder } from "../../HeldSessions.ts"

/** The latest connection to a server. `openedAt` is monotonic, and `undefined` while there is no connection. */
interface Latest {
  readonly generation: number
  readonly openedAt: bigint | undefined
}

/** Watches the connections to servers for as long as the scope. Gives a function that reads which connection it is, and how old. */
export const watchAges = Effect.fnUntraced(function*(
  sessions: Sessions["Service"],
  servers: ReadonlyArray<string>
): Effect.fn.Return<Holder["connection"], never, Scope.Scope> {
  const latest = new Map<string, Latest>()
  const watch = (server: string) =>
    Stream.runForEach(
      sessions.statusChanges(server),
      Effect.fnUntraced(function*({ connections }) {
        const before = latest.get(server)
        const state = connections.map(({ state }) => state).find(({ _tag }) => _tag === "Ready" || _tag === "Suspect")
        if (state === undefined || !("generation" in state)) {
          latest.set(server, { generation: before?.generation ?? 0, openedAt: undefined })
        } else if (before?.openedAt === undefined || before.generation !== state.generation) {
          latest.set(server, { generation: state.generation, openedAt: yield* Clock.monotonicTimeNanos })
        }
      })
    )
  // The servers were taken from the sessions, so they are known.
  yield* Effect.forEach(servers, (server) => Effect.forkScoped(Effect.orDie(watch(server))), { discard: true })
  return (server) =>
    Effect.map(Clock.monotonicTimeNanos, (now) => {
      const { generation = 0, openedAt } = latest.get(server) ?? {}
      return { generation, age: openedAt === undefined ? undefined : Math.round(Number(now - openedAt) / 1e6) }
    })
})
