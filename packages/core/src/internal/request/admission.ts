/**
 * Admission: limits the requests in flight of one session and of its server, and the rate at which they are sent.
 *
 * Each session waits in a queue of its own, so that it can fill only that. The permits of the server go to waiting owners in turn. There is no
 * limit over all servers: one that does not respond would hold the permits of the others.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { ServerConfig } from "../../ServerConfig.ts"
import { QueueFull, RateLimited, type Reason, RequestTimeout } from "../../SessionError.ts"
import * as monotonic from "../monotonic.ts"
import { Bulkhead } from "../server/bulkhead.ts"
import type { ServerState } from "../server/serverState.ts"
import type { Timer, Timers } from "../timers.ts"

export class Admission {
  readonly #config: ServerConfig
  readonly #owner: string
  readonly #server: ServerState
  readonly #session: Bulkhead
  readonly #timers: Timers
  #queued = 0

  constructor(options: {
    readonly config: ServerConfig
    readonly owner: string
    readonly server: ServerState
    readonly timers: Timers
  }) {
    this.#timers = options.timers
    this.#config = options.config
    this.#owner = options.owner
    this.#server = options.server
    this.#session = new Bulkhead(options.config.maxInFlight)
  }

  /** Takes the permits if they are free and no rate limit applies. */
  tryTake(): boolean {
    const { bulkhead, rateLimit } = this.#server
    if (rateLimit.isActive || !bulkhead.isFree || !this.#session.tryTake()) return false
    bulkhead.tryTake()
    return true
  }

  /**
   * Waits for the permits until `latest`, or until the circuit of the server opens. Calls `onTaken` in the moment in which the request may be sent, with
   * the rate limit epoch to report its response with. From then on the caller has to release the permits.
   */
  wait({ isProbe, latest, method, onTaken }: {
    readonly method: string
    readonly latest: number
    /** Whether the request passes an open circuit. */
    readonly isProbe: boolean
    readonly onTaken: (epoch: number) => void
  }): Effect.Effect<void, Reason> {
    // Uninterruptible but for the wait itself: what is counted here is also counted back.
    return Effect.uninterruptibleMask((restore): Effect.Effect<void, Reason> => {
      const { maxQueued } = this.#config
      const { bulkhead, rateLimit } = this.#server
      // The head of the queue of a rate limit may pass at once, so it takes no place.
      const room = rateLimit.isActive ? maxQueued + 1 : maxQueued
      if (this.#queued >= room) {
        return Effect.fail(new QueueFull({ limit: maxQueued, inFlight: this.#session.used }))
      }
      this.#queued++
      this.#server.telemetry.count("queued")
      const held = { session: false, server: false, isAdmitted: false }
      const admitted = Effect.gen({ self: this }, function*() {
        yield* this.#session.wait(this.#owner, () => {
          held.session = true
        })
        yield* bulkhead.wait(this.#owner, () => {
          held.server = true
        })
        // Last: the rate counts requests that are sent, and a pause may have begun meanwhile.
        const epoch = rateLimit.isActive ? yield* this.#pass(latest) : 0
        held.isAdmitted = true
        onTaken(epoch)
      })
      const ended = this.#ended({ latest, method, isProbe })
      return Effect.onExit(restore(Effect.raceFirst(admitted, ended)), () =>
        Effect.sync(() => {
          this.#queued--
          if (held.isAdmitted) return
          if (held.server) bulkhead.release()
          if (held.session) this.#session.release()
        }))
    })
  }

  /** Fails when the time is over, and when the circuit of the server opens, unless the request is the one that passes it. */
  #ended({ isProbe, latest, method }: {
    readonly method: string
    readonly latest: number
    readonly isProbe: boolean
  }): Effect.Effect<never, Reason> {
    return Effect.callback((resume) => {
      const { circuitBreaker } = this.#server
      const timer: Timer = {
        timerIndex: -1,
        dueAt: latest,
        fire: () => {
          const timeout = Duration.toMillis(this.#config.totalTimeout)
          resume(Effect.fail(new RequestTimeout({ method, timeout, delivery: "NotSent" })))
        }
      }
      this.#timers.set(timer)
      const remove = isProbe
        ? undefined
        : circuitBreaker.onOpen(() => resume(Effect.flatMap(circuitBreaker.refusal, Effect.fail)))
      return Effect.sync(() => {
        this.#timers.clear(timer)
        remove?.()
      })
    })
  }

  /** Releases the permits, which go to waiting requests. */
  release(): void {
    this.#session.release()
    this.#server.bulkhead.release()
  }

  #pass(latest: number): Effect.Effect<number, Reason> {
    return Effect.catch(
      this.#server.rateLimit.pass({ owner: this.#owner, latest }),
      (at) => Effect.flatMap(monotonic.wallTimeOf(at), (retryAt) => Effect.fail(new RateLimited({ retryAt })))
    )
  }
}
