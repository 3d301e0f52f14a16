/**
 * Liveness of a connection: pings it when it is quiet or a request timed out, and retires it when it is old.
 *
 * Probes take no permit. If a ping gets no response, and nothing else arrives meanwhile, the connection is lost: the next request makes
 * another one, and the requests in flight end. A server that handles one request after the other cannot respond to a ping while it works, so
 * a request counts as long-running if it has a timeout of its own that is longer than `pingTimeout`, or has reported progress:
 *
 * - A long-running request stays on the lost connection, until its own outcome.
 * - While one is in flight, a quiet connection is not lost. Only after another request has timed out it is.
 * - Other requests count as quiet only once they are in flight for `healthInterval`.
 */
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { Random } from "effect/Random"
import type { Connection, ConnectionInfo } from "../../Connection.ts"
import type { ServerDefinition } from "../../ServerConfig.ts"
import { type Delivery, type Reason, SessionError, TransportFailed } from "../../SessionError.ts"
import type { ServerState } from "../server/serverState.ts"
import type { Timer, Timers } from "../timers.ts"
import type { LiveConnection } from "./liveConnection.ts"
import type { Event } from "./stateMachine.ts"

/** The code of the failure of a ping without a response. */
const unresponsive = "UNRESPONSIVE"

/** How long a server may take to respond to a ping, in milliseconds. */
export const pingTimeout = 10_000

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

const silence = (delivery: Delivery): TransportFailed => {
  const description = `the server did not respond to a ping within ${Duration.format(Duration.millis(pingTimeout))}`
  return new TransportFailed({ description, code: unresponsive, delivery })
}

const isSilence = (reason: Reason): boolean => reason._tag === "TransportFailed" && reason.code === unresponsive

/** Pings a server that may not respond. */
const boundedPing = (live: LiveConnection): Effect.Effect<void, Reason> =>
  Effect.timeoutOrElse(ping(live), { duration: pingTimeout, orElse: () => Effect.fail(silence("Unknown")) })

/** What liveness needs of the managed connection. */
export interface LivenessHost {
  readonly definition: ServerDefinition
  readonly server: ServerState
  readonly timers: Timers
  readonly random: Random
  on(event: Event): void
  /** Whether a connection is the current one, and in doubt neither. */
  isReady(live: LiveConnection): boolean
  /** Drops a lost connection. */
  loseFor(live: LiveConnection, reason: Reason): Effect.Effect<void>
  /** Lets new requests go to another connection. */
  drop(live: LiveConnection): Effect.Effect<void>
  responded(live: LiveConnection): number
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

  /** Pings a connection on which a request timed out. The server may be slow or gone. */
  suspect(live: LiveConnection): void {
    live.hasTimedOut = true
    this.#ask(live)
  }

  #ask(live: LiveConnection): void {
    const host = this.#host
    if (!host.isReady(live)) return
    host.on({ _tag: "TimedOut", generation: live.generation })
    host.fork(live, this.#decide(live))
  }

  /** Pings the server while its circuit is open, if the circuit admits a probe. Connects with `connect` if the connection turns out to be lost. */
  probe(live: LiveConnection, connect: Effect.Effect<void>): Effect.Effect<void> {
    const { definition: { name: server }, server: { circuitBreaker } } = this.#host
    // The handshake is left to the caller, and pings come after it.
    if (live.info === undefined) return Effect.void
    return Effect.suspend(() => {
      const askedAt = live.heardAt
      const ping = Effect.mapError(boundedPing(live), (reason) => new SessionError({ server, reason }))
      // The ping that follows a timeout may lose the connection first: nothing more can be learned on it then.
      const probe = Effect.raceFirst(ping, Deferred.await(live.retired))
      return Effect.matchEffect(circuitBreaker.probe(probe), {
        onSuccess: () => live.isRetired ? connect : Effect.sync(() => this.#host.responded(live)),
        onFailure: ({ reason }) => {
          if (reason.losesConnection) return Effect.andThen(this.#host.loseFor(live, reason), connect)
          return isSilence(reason) && live.heardAt <= askedAt ? this.#abandon(live, reason) : Effect.void
        }
      })
    })
  }

  #abandon(live: LiveConnection, reason: Reason): Effect.Effect<void> {
    return Effect.andThen(this.#host.loseFor(live, reason), Effect.sync(() => live.abandonOrdinary(silence)))
  }

  #decide(live: LiveConnection): Effect.Effect<void> {
    const host = this.#host
    const respond = Effect.sync(() => {
      live.hasTimedOut = false
      host.on({ _tag: "Responded", generation: live.generation })
    })
    const keep = Effect.sync(() => host.on({ _tag: "Responded", generation: live.generation }))
    return Effect.suspend(() => {
      const askedAt = live.heardAt
      return boundedPing(live).pipe(
        Effect.matchEffect({
          onFailure: (reason): Effect.Effect<void> => {
            if (reason.losesConnection) return host.loseFor(live, reason)
            // Any other failure is a response, and so is anything that arrived meanwhile.
            if (!isSilence(reason) || live.heardAt > askedAt) return respond
            return live.isLongRunning && !live.hasTimedOut ? keep : this.#abandon(live, reason)
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
        const now = timers.now()
        const quietAt = live.lastSentAt + interval
        if (now >= quietAt && now - live.heardAt > pause / 2) this.#ask(live)
        timer.dueAt = now < quietAt ? quietAt : next()
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
