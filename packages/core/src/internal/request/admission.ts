/**
 * Whose turn it is: how many requests may be under way at a time, on one session and at one server, and how fast they may follow
 * each other.
 *
 * A session waits in a line of its own, so that it can fill that line and no other. The places at the server go round the owners
 * who wait. There is no limit over all servers: one that does not answer would hold the places of those that do.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { ServerConfig } from "../../ServerConfig.ts"
import { QueueFull, RateLimited, type Reason, RequestTimeout } from "../../SessionError.ts"
import type { Permits } from "../server/bulkhead.ts"
import type { Pace } from "../server/rateLimit.ts"

/** What a request that has its turn holds. */
export interface Turn {
  /** What an answer of 429 is reported with. */
  readonly epoch: number
}

const unpaced: Turn = { epoch: 0 }

export interface Turns {
  /** A turn, if it is anyone's who asks. */
  readonly tryTake: () => Turn | undefined
  /** Waits for a turn, until `latest` at most. `onTaken` is called at the moment in which it is there. */
  readonly wait: (options: {
    readonly method: string
    readonly latest: number
    readonly onTaken: (turn: Turn) => void
  }) => Effect.Effect<void, Reason>
  /** Ends a turn. */
  readonly release: Effect.Effect<void>
}

/** Makes the turns of one session. `session` are its places, `server` those at the server for all sessions. */
export const make = (options: {
  readonly config: ServerConfig
  readonly owner: string
  readonly session: Permits
  readonly server: Permits
  readonly pace: Pace
}): Turns => {
  const { config: { maxQueued, totalTimeout }, owner, pace, server, session } = options
  let queued = 0

  return {
    tryTake: () => {
      if (pace.isLimited() || !server.isFree || !session.tryTake()) return undefined
      server.tryTake()
      return unpaced
    },
    wait: ({ latest, method, onTaken }) =>
      Effect.suspend((): Effect.Effect<void, Reason> => {
        // The first in the line of a rate may only be passing through it.
        const room = pace.isLimited() ? maxQueued + 1 : maxQueued
        if (queued >= room) return Effect.fail(new QueueFull({ limit: maxQueued, inFlight: session.used }))
        queued++
        let holdsSession = false
        let holdsServer = false
        let hasTurn = false
        const turn = Effect.gen(function*() {
          yield* session.wait(owner, () => {
            holdsSession = true
          })
          yield* server.wait(owner, () => {
            holdsServer = true
          })
          // Last, for the rate is of what goes out, and a pause may have begun meanwhile.
          const paced = Effect.mapError(pace.pass({ owner, latest }), (retryAt) => new RateLimited({ retryAt }))
          const epoch = pace.isLimited() ? yield* paced : 0
          hasTurn = true
          onTaken({ epoch })
        })
        return Effect.flatMap(Clock.currentTimeMillis, (now) =>
          Effect.timeoutOrElse(turn, {
            duration: Math.max(0, latest - now),
            orElse: () => {
              const timeout = Duration.toMillis(totalTimeout)
              return Effect.fail(new RequestTimeout({ method, timeout, delivery: "NotSent" }))
            }
          })).pipe(
            Effect.onExit(() => {
              queued--
              if (hasTurn) return Effect.void
              return Effect.andThen(
                holdsServer ? server.release() : Effect.void,
                holdsSession ? session.release() : Effect.void
              )
            })
          )
      }),
    release: Effect.suspend(() => {
      const given = session.release()
      return given === Effect.void ? server.release() : Effect.andThen(given, Effect.suspend(() => server.release()))
    })
  }
}
