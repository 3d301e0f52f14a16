/**
 * Owned buckets: the buckets of this node, each with the activation under which it has them, and the sessions and exchanges in them.
 *
 * A bucket that moves to another node takes no more exchanges, waits for those in flight, and then closes its sessions. Only then does the
 * cluster give it to the next owner.
 */
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import type { ServerResponse } from "node:http"
import type { ClientSession } from "../gateway/client/clientSession.ts"
import { onClosed } from "../gateway/http/http.ts"
import { bucketOf } from "./buckets.ts"

/** How long a moving bucket waits for requests in flight. */
const drainTimeout = "4 seconds"

/** A bucket of this node. */
class OwnedBucket {
  readonly activation: string
  readonly sessions = new Set<ClientSession>()
  /** Whether it takes no more exchanges. */
  isMoving = false
  #inFlight = 0
  #onIdle: (() => void) | undefined

  constructor(activation: string) {
    this.activation = activation
  }

  begin(): () => void {
    this.#inFlight++
    let isOver = false
    return () => {
      if (isOver) return
      isOver = true
      this.#inFlight--
      if (this.#inFlight === 0) this.#onIdle?.()
    }
  }

  get idle(): Effect.Effect<void> {
    return Effect.callback((resume) => {
      if (this.#inFlight === 0) return resume(Effect.void)
      this.#onIdle = () => resume(Effect.void)
    })
  }
}

export class OwnedBuckets {
  readonly #buckets = new Map<number, OwnedBucket>()
  readonly #close: (client: ClientSession) => Effect.Effect<void>
  readonly #onMove = new Set<(bucket: number) => void>()
  #isDraining = false

  constructor(close: (client: ClientSession) => Effect.Effect<void>) {
    this.#close = close
  }

  /**
   * Owns a bucket until the scope closes, which waits for its exchanges and closes its sessions. Sessions of an activation before it are closed
   * first.
   */
  own(bucket: number, activation: string): Effect.Effect<void, never, Scope.Scope> {
    return Effect.acquireRelease(
      Effect.suspend(() => {
        const before = this.#buckets.get(bucket)
        const owned = new OwnedBucket(activation)
        this.#buckets.set(bucket, owned)
        if (before === undefined) return Effect.succeed(owned)
        this.#moved(bucket)
        return Effect.as(this.#closeAll(before), owned)
      }),
      (owned) => this.#release(bucket, owned)
    )
  }

  #closeAll({ sessions }: OwnedBucket): Effect.Effect<void> {
    return Effect.suspend(() => Effect.forEach([...sessions], this.#close, { concurrency: "unbounded", discard: true }))
  }

  #release(bucket: number, owned: OwnedBucket): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.#buckets.get(bucket) !== owned) return this.#closeAll(owned)
      owned.isMoving = true
      return Effect.timeoutOption(owned.idle, drainTimeout).pipe(
        Effect.andThen(Effect.sync(() => {
          if (this.#buckets.get(bucket) !== owned) return
          this.#moved(bucket)
          this.#buckets.delete(bucket)
        })),
        Effect.andThen(this.#closeAll(owned))
      )
    })
  }

  #moved(bucket: number): void {
    for (const listener of this.#onMove) listener(bucket)
  }

  /** Takes no more exchanges in any bucket, because the gateway ends, and waits for those in flight. */
  get drain(): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.#isDraining = true
      const all = [...this.#buckets.values()]
      for (const owned of all) owned.isMoving = true
      return Effect.timeoutOption(
        Effect.forEach(all, ({ idle }) => idle, { concurrency: "unbounded", discard: true }),
        drainTimeout
      )
    }).pipe(Effect.andThen(Effect.sync(() => {
      for (const bucket of this.#buckets.keys()) this.#moved(bucket)
    })))
  }

  /** Adds a listener of buckets that move, called before their sessions close. Returns what removes it. */
  onMove(listener: (bucket: number) => void): () => void {
    this.#onMove.add(listener)
    return () => void this.#onMove.delete(listener)
  }

  /** Breaks a response that is not whole when its bucket moves, so that it is asked for again at the next owner. */
  breakOnMove(bucket: number, response: ServerResponse): void {
    const removeListener = this.onMove((moving) => {
      if (moving === bucket && !response.writableEnded) response.destroy()
    })
    onClosed(response, removeListener)
  }

  /** Whether the gateway stops. Its own requests cannot continue at another node then. */
  get isDraining(): boolean {
    return this.#isDraining
  }

  has(bucket: number): boolean {
    return this.#buckets.get(bucket)?.isMoving === false
  }

  /** Begins an exchange under an activation, and returns what ends it; `undefined` if the bucket is not owned under it. */
  begin(bucket: number, activation: string): (() => void) | undefined {
    const owned = this.#buckets.get(bucket)
    return owned === undefined || owned.isMoving || owned.activation !== activation ? undefined : owned.begin()
  }

  /** Keeps a session in its bucket until it closes. */
  keep(client: ClientSession): Effect.Effect<void> {
    return Effect.suspend(() => {
      const owned = this.#buckets.get(bucketOf(client.name))
      if (owned === undefined || owned.sessions.has(client)) return Effect.void
      owned.sessions.add(client)
      return Scope.addFinalizer(client.scope, Effect.sync(() => owned.sessions.delete(client)))
    })
  }
}
