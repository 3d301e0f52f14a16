/**
 * Liveness of a connection: pings it when it is quiet or a request timed out, and retires it when it is old.
 *
 * Probes take no permit. A probe that gets no response loses the connection, except while requests are in flight: a server that handles one
 * request after the other cannot respond.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { Random } from "effect/Random"
import type { Connection, ConnectionInfo } from "../../Connection.ts"
import type { ServerDefinition } from "../../ServerConfig.ts"
import { type Reason, TransportFailed } from "../../SessionError.ts"
import type { Timer, Timers } from "../timers.ts"
import type { LiveConnection } from "./liveConnection.ts"
import type { Event } from "./stateMachine.ts"

/** The code of the failure of a ping without a response. */
const unresponsive = "UNRESPONSIVE"

/** How long a server may take to respond to a ping. */
const pingTimeout = Duration.seconds(10)

/** The share by which intervals between probes vary, so that clients of one server do not probe in step. */
const probeSpread = 0.2

/** The share of its lifetime by which a connection may be retired early. */
const lifetimeSpread = 0.025

/** The method that makes the smallest round trip in the era of a connection. */
export const pingMethod = (info: ConnectionInfo | undefined): string =>
  info?.era === "modern" ? "server/discover" : "ping"

/**
 * Makes the smallest round trip. An error response is a response: some servers do not implement the method. It fails only if it says that
 * the connection is of another revision or era than the server.
 */
const ping = ({ connection, info }: {
  readonly connection: Connection
  readonly info: ConnectionInfo | undefined
}): Effect.Effect<void, Reason> =>
  connection.request({ method: pingMethod(info), params: undefined }).pipe(
    Effect.asVoid,
    Effect.catchTag(
      ["ProtocolFailed", "InvalidResult"],
      (reason) => reason.losesConnection ? Effect.fail(reason) : Effect.void
    )
  )

/** What liveness needs of the managed connection. */
export interface LivenessHost {
  readonly definition: ServerDefinition
  readonly timers: Timers
  readonly random: Random
  on(event: Event): void
  /** Whether a connection is the current one, and in doubt neither. */
  isReady(live: LiveConnection): boolean
  /** Drops a lost connection. */
  loseFor(live: LiveConnection, reason: Reason): Effect.Effect<void>
  /** Lets new requests go to another connection. */
  drop(live: LiveConnection): Effect.Effect<void>
  responded(live: LiveConnection): void
  /** Runs an effect in the background for as long as the connection is open. */
  fork(live: LiveConnection, effect: Effect.Effect<void>): void
}

export class Liveness {
  readonly #host: LivenessHost

  constructor(host: LivenessHost) {
    this.#host = host
  }

  /** Schedules the probes and the retirement of a connection. Returns the removal of both. */
  watch(live: LiveConnection): () => void {
    const { definition: { config }, timers } = this.#host
    const watched = [
      ...(Duration.isZero(config.healthInterval) ? [] : [this.#probeTimer(live)]),
      ...(Duration.isZero(config.maxLifetime) ? [] : [this.#lifetimeTimer(live)])
    ]
    for (const timer of watched) timers.set(timer)
    return () => {
      for (const timer of watched) timers.clear(timer)
    }
  }

  /** Pings a connection on which a request timed out. The server may be slow or gone: without a response, the connection is lost. */
  suspect(live: LiveConnection): void {
    const host = this.#host
    if (!host.isReady(live)) return
    host.on({ _tag: "TimedOut", generation: live.generation })
    host.fork(live, this.#decide(live))
  }

  #decide(live: LiveConnection): Effect.Effect<void> {
    const host = this.#host
    const respond = Effect.sync(() => host.on({ _tag: "Responded", generation: live.generation }))
    return Effect.suspend(() => {
      const askedAt = live.heardAt
      return ping(live).pipe(
        Effect.timeoutOrElse({
          duration: pingTimeout,
          orElse: () => {
            const description = `the server did not respond to a ping within ${Duration.format(pingTimeout)}`
            return Effect.fail(new TransportFailed({ description, code: unresponsive, delivery: "Unknown" }))
          }
        }),
        Effect.matchEffect({
          onFailure: (reason): Effect.Effect<void> => {
            if (reason.losesConnection) return host.loseFor(live, reason)
            const isSilent = reason._tag === "TransportFailed" && reason.code === unresponsive
            // Any other failure is a response, and so is anything that arrived meanwhile.
            if (!isSilent || live.heardAt > askedAt) return respond
            // The server may be busy with another request. Once that has ended, silence is no longer excused.
            return live.inFlight > 0 && !live.isRetired ? this.#decide(live) : host.loseFor(live, reason)
          },
          onSuccess: () => Effect.andThen(Effect.sync(() => host.responded(live)), respond)
        })
      )
    })
  }

  #probeTimer(live: LiveConnection): Timer {
    const { definition: { config }, random, timers } = this.#host
    const interval = Duration.toMillis(config.healthInterval)
    let pause = 0
    const next = () => {
      pause = interval * (1 - probeSpread + 2 * probeSpread * random.nextDoubleUnsafe())
      return Math.round(timers.now() + pause)
    }
    const timer: Timer = {
      timerIndex: -1,
      dueAt: next(),
      fire: () => {
        if (timers.now() - live.heardAt > pause / 2) this.suspect(live)
        timer.dueAt = next()
        timers.set(timer)
      }
    }
    return timer
  }

  #lifetimeTimer(live: LiveConnection): Timer {
    const host = this.#host
    const { definition: { config }, random, timers } = host
    const lifetime = Duration.toMillis(config.maxLifetime) * (1 - lifetimeSpread * random.nextDoubleUnsafe())
    return { timerIndex: -1, dueAt: Math.round(timers.now() + lifetime), fire: () => host.fork(live, host.drop(live)) }
  }
}
