/**
 * Holds: which node owns each bucket, as this node knows it. Follows the activations of all buckets, so a request waits for nothing while its
 * owner is known.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Fork } from "../scopedFork.ts"
import { bucketCount } from "./buckets.ts"
import type { DatabaseProbe } from "./databaseProbe.ts"
import type { Activation } from "./ownership.ts"

/** How long after the end of a hold the bucket is held again, and how long a request waits for an owner. */
const [holdAgain, ownerTimeout] = ["100 millis", "15 seconds"] as const

/** How long a hold may go without an activation before the bucket is held anew. A hold whose request is lost with its connection never ends. */
const holdTimeout = "5 seconds"

/** How long a request waits for an owner before the database is probed. */
const databaseProbeDelay = "400 millis"

/** How long an owner in doubt has to say that it owns the bucket still, and how long it is not doubted again. */
const [answerTimeout, trustedFor] = ["1 second", "2 seconds"] as const

/** Why a bucket has no owner that is known. */
export type NoOwner = "database" | "timeout"

interface Held {
  current: Activation | undefined
  /** Completes with the next activation. */
  next: Deferred.Deferred<Activation>
  /** Called with each activation, and with `undefined` once there was none for long. */
  readonly listeners: Set<(activation: Activation | undefined) => void>
  /** Waits until the bucket has had no activation for long. */
  orphaned: Fiber.Fiber<void> | undefined
  /** Completes when the bucket is to be held anew. */
  anew: Deferred.Deferred<void>
  isDoubted: boolean
  /** How many requests wait for an owner. */
  waiting: number
}

export class Holds {
  readonly #buckets: ReadonlyArray<Held>
  readonly #database: DatabaseProbe
  readonly #fork: Fork
  readonly #onOwner: (activation: Activation) => void
  #hold: (bucket: number) => Stream.Stream<Activation> = () => Stream.never

  /** `database` is asked whether that of the cluster answers. `onOwner` is called with each activation. */
  constructor({ database, fork, onOwner }: {
    readonly database: DatabaseProbe
    readonly onOwner: (activation: Activation) => void
    readonly fork: Fork
  }) {
    this.#database = database
    this.#fork = fork
    this.#onOwner = onOwner
    this.#buckets = Array.from({ length: bucketCount }, () => ({
      current: undefined,
      next: Deferred.makeUnsafe<Activation>(),
      listeners: new Set<(activation: Activation | undefined) => void>(),
      orphaned: undefined,
      anew: Deferred.makeUnsafe<void>(),
      isDoubted: false,
      waiting: 0
    }))
  }

  /** Follows all buckets until the scope closes. */
  follow<E>(hold: (bucket: number) => Stream.Stream<Activation, E>): Effect.Effect<void, never, Scope.Scope> {
    this.#hold = (bucket) => Stream.orDie(hold(bucket))
    return Effect.forEach(
      this.#buckets,
      (held, bucket) =>
        this.#abandoning(
          Stream.runForEach(this.#hold(bucket), (activation) => Effect.sync(() => this.#set(held, activation))),
          () => Effect.raceFirst(Deferred.await(held.anew), this.#silent(held))
        ).pipe(
          // Whatever ended it, the bucket is held again: it will have an owner.
          Effect.andThen(Effect.sync(() => this.#clear(held))),
          Effect.andThen(Effect.sleep(holdAgain)),
          Effect.forever,
          Effect.forkScoped
        ),
      { discard: true }
    )
  }

  /** Ends if a bucket has no activation after a while. */
  #silent(held: Held): Effect.Effect<void> {
    return Effect.andThen(
      Effect.sleep(holdTimeout),
      Effect.suspend(() => held.current === undefined ? Effect.void : Effect.never)
    )
  }

  /**
   * Runs an effect until it ends or another one does, and gives its exit if it has ended. It is interrupted without waiting for that: an
   * owner that stands still does not answer to an interruption either.
   */
  #abandoning<A>(
    effect: Effect.Effect<A>,
    until: () => Effect.Effect<unknown>
  ): Effect.Effect<Exit.Exit<A> | undefined> {
    return Effect.flatMap(
      Effect.forkDetach(effect, { startImmediately: true }),
      (fiber) =>
        Effect.raceFirst(Fiber.await(fiber), Effect.as(until(), undefined)).pipe(
          Effect.ensuring(Effect.sync(() => fiber.interruptUnsafe()))
        )
    )
  }

  /**
   * Asks again who owns a bucket, because its owner is silent, or none is known although requests wait for one. A process that stands still keeps its
   * connections, so nothing else shows that the bucket has moved. Asks until it has an answer, another owner is known, or no request waits for one.
   */
  doubt(bucket: number, activation: Activation | undefined): void {
    const held = this.#buckets[bucket]
    if (held === undefined || held.isDoubted || held.current?.id !== activation?.id) return
    held.isDoubted = true
    const isOpen = () => held.current?.id === activation?.id && (activation !== undefined || held.waiting > 0)
    const asked = this.#abandoning(Stream.runHead(this.#hold(bucket)), () => Effect.sleep(answerTimeout))
    this.#fork(
      Effect.gen(function*() {
        while (isOpen()) {
          const exit = yield* asked
          const owner = exit !== undefined && Exit.isSuccess(exit) ? exit.value : Option.none()
          if (Option.isSome(owner)) {
            if (owner.value.id !== held.current?.id) Deferred.doneUnsafe(held.anew, Effect.void)
            return yield* Effect.sleep(trustedFor)
          }
          yield* Effect.sleep(holdAgain)
        }
      }).pipe(Effect.ensuring(Effect.sync(() => {
        held.isDoubted = false
      })))
    )
  }

  #clear(held: Held): void {
    held.anew = Deferred.makeUnsafe()
    if (held.current === undefined) return
    held.current = undefined
    held.orphaned = this.#fork(Effect.andThen(
      Effect.sleep(ownerTimeout),
      Effect.sync(() => {
        for (const listener of held.listeners) listener(undefined)
      })
    ))
  }

  #set(held: Held, activation: Activation): void {
    held.orphaned?.interruptUnsafe()
    held.current = activation
    const { next } = held
    held.next = Deferred.makeUnsafe()
    Deferred.doneUnsafe(next, Effect.succeed(activation))
    for (const listener of held.listeners) listener(activation)
    this.#onOwner(activation)
  }

  /** The owner of a bucket; `undefined` while it is not known. */
  current(bucket: number): Activation | undefined {
    return this.#buckets[bucket]?.current
  }

  /** Whether the database does not answer, so that no bucket gets an owner. */
  get isAway(): Effect.Effect<boolean> {
    return this.#database.isAway
  }

  /** Waits for an owner of a bucket. Fails within 2 seconds while the database does not answer. */
  owner(bucket: number): Effect.Effect<Activation, NoOwner> {
    return Effect.suspend(() => {
      const held = this.#buckets[bucket]
      if (held === undefined) return Effect.fail("timeout")
      if (held.current !== undefined) return Effect.succeed(held.current)
      held.waiting++
      const lost = Effect.sleep(databaseProbeDelay).pipe(
        Effect.andThen(this.#database.away),
        Effect.andThen(Effect.fail("database" as const))
      )
      const doubted = Effect.sleep(answerTimeout).pipe(
        Effect.andThen(Effect.sync(() => this.doubt(bucket, undefined))),
        Effect.forever
      )
      return Effect.raceAllFirst([Deferred.await(held.next), lost, doubted]).pipe(
        Effect.timeoutOrElse({ duration: ownerTimeout, orElse: () => Effect.fail("timeout" as const) }),
        Effect.ensuring(Effect.sync(() => {
          held.waiting--
        }))
      )
    })
  }

  /** Calls a function once when a bucket has another activation, or has had none for long. Returns what removes it. */
  onMoved(bucket: number, { id }: Activation, listener: () => void): () => void {
    const held = this.#buckets[bucket]
    const onActivation = (activation: Activation | undefined) => {
      if (activation?.id === id) return
      held?.listeners.delete(onActivation)
      listener()
    }
    held?.listeners.add(onActivation)
    return () => void held?.listeners.delete(onActivation)
  }

  /** The ids of the nodes that own buckets. */
  get nodes(): ReadonlySet<string> {
    return new Set(this.#buckets.flatMap(({ current }) => current?.node ?? []))
  }

  /** Whether all buckets have a known owner. */
  get isWhole(): boolean {
    return this.#buckets.every(({ current }) => current !== undefined)
  }
}
