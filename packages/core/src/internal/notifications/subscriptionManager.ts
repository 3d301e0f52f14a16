/**
 * Subscription manager: keeps a server notifying of changes for as long as there are subscribers, across reconnects.
 *
 * One fiber for each managed connection, which runs only while there are interests, aligns the subscription on the live connection with them.
 * When the connection is lost, it reconnects.
 */
import type * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { ConnectionInfo } from "../../Connection.ts"
import type { Listening } from "../../Notification.ts"
import type { RetryPolicy } from "../../RetryPolicy.ts"
import { type Reason, RequestTimeout, SessionClosed, SessionError, TransportClosed } from "../../SessionError.ts"
import type { LiveConnection } from "../connection/liveConnection.ts"
import type { ManagedConnection } from "../connection/managedConnection.ts"
import { repeatUntilDone } from "./repeatUntilDone.ts"
import { LegacySubscription } from "./subscriber/legacy.ts"
import { ModernSubscription } from "./subscriber/modern.ts"
import type { ServerSubscription } from "./subscriber/serverSubscription.ts"

/** One subscriber's interest in the changes of lists, or of one resource. */
interface Interest {
  /** The URI of the resource; `undefined` for the lists. */
  readonly uri: string | undefined
  /** Called when the server notifies again after a gap. */
  readonly onListening: (listening: Listening) => void
  /** Completes once the server notifies. */
  readonly established: Deferred.Deferred<void, SessionError>
  /** Fails when the server no longer notifies and cannot be made to. */
  readonly failed: Deferred.Deferred<never, SessionError>
}

export class SubscriptionManager {
  readonly #managed: ManagedConnection
  readonly #retry: RetryPolicy
  readonly #reconnect: RetryPolicy
  readonly #scope: Scope.Scope
  /** Subscriptions are shared, so they run in the context of the layer and not in that of a subscriber. */
  readonly #context: Context.Context<never>
  readonly #interests = new Set<Interest>()
  #changed: Queue.Queue<void> | undefined
  #isRunning = false
  #isClosed = false

  constructor(options: {
    readonly managed: ManagedConnection
    readonly retry: RetryPolicy
    readonly reconnect: RetryPolicy
    readonly scope: Scope.Scope
    readonly context: Context.Context<never>
  }) {
    this.#managed = options.managed
    this.#retry = options.retry
    this.#reconnect = options.reconnect
    this.#scope = options.scope
    this.#context = options.context
  }

  /**
   * Registers an interest for as long as the scope. Succeeds once the server notifies of the changes; `failed` fails when it no longer does
   * and cannot be made to.
   */
  register(
    { onListening, uri }: Pick<Interest, "onListening" | "uri">
  ): Effect.Effect<{ readonly failed: Effect.Effect<never, SessionError> }, SessionError, Scope.Scope> {
    return Effect.gen({ self: this }, function*() {
      if (this.#isClosed) return yield* this.#fail(new SessionClosed())
      const changed = this.#changed ??= yield* Queue.sliding<void>(1)
      const interest: Interest = {
        uri,
        onListening,
        established: Deferred.makeUnsafe(),
        failed: Deferred.makeUnsafe()
      }
      yield* Effect.acquireRelease(
        Effect.suspend(() => {
          this.#interests.add(interest)
          Queue.offerUnsafe(changed, undefined)
          if (this.#isRunning) return Effect.void
          this.#isRunning = true
          return this.#run(changed)
        }),
        () =>
          Effect.sync(() => {
            if (this.#interests.delete(interest)) Queue.offerUnsafe(changed, undefined)
          })
      )
      yield* Deferred.await(interest.established)
      return { failed: Deferred.await(interest.failed) }
    })
  }

  /** Ends all subscriptions. */
  get close(): Effect.Effect<void> {
    return Effect.sync(() => {
      this.#isClosed = true
      this.#end(this.#interests, Effect.fail(this.#fail(new SessionClosed())))
    })
  }

  #fail(reason: Reason): SessionError {
    return new SessionError({ server: this.#managed.definition.name, reason })
  }

  #end(interests: Iterable<Interest>, outcome: Effect.Effect<never, SessionError>): void {
    for (const interest of interests) {
      this.#interests.delete(interest)
      Deferred.doneUnsafe(interest.established, outcome)
      Deferred.doneUnsafe(interest.failed, outcome)
    }
  }

  #run(changed: Queue.Queue<void>): Effect.Effect<void> {
    const connected = this.#managed.stateChanges.pipe(
      Stream.filter(({ _tag }) => _tag === "Ready"),
      Stream.runHead
    )
    const round = Effect.gen({ self: this }, function*() {
      if (this.#interests.size > 0) {
        const live = yield* this.#connect
        if (live.info === undefined) return yield* this.#fail(new TransportClosed({ delivery: "NotSent" }))
        yield* this.#serve(live, live.info, changed)
      }
      this.#isRunning = this.#interests.size > 0
      return !this.#isRunning
    })
    return repeatUntilDone({ effect: round, wake: Effect.raceFirst(connected, Queue.take(changed)) }).pipe(
      // Defects too: subscribers would wait for ever.
      Effect.catchCause((cause) =>
        Effect.sync(() => {
          this.#isRunning = false
          this.#end(this.#interests, Effect.failCause(cause))
        })
      ),
      Effect.updateContext((_: Context.Context<never>) => this.#context),
      Effect.forkIn(this.#scope, { startImmediately: true }),
      Effect.asVoid
    )
  }

  /**
   * A connection to subscribe on. A failure ends the interests that are not established yet; for the others, the reconnect policy decides about
   * further attempts.
   */
  get #connect(): Effect.Effect<LiveConnection, SessionError> {
    return Effect.suspend(() => this.#pending().length > 0 ? this.#managed.acquire : this.#managed.acquireOnce).pipe(
      Effect.tapError((error) => Effect.sync(() => this.#end(this.#pending(), Effect.fail(error)))),
      Effect.retry({
        schedule: this.#reconnect,
        while: ({ reason }) => reason._tag !== "SessionClosed" && this.#interests.size > 0
      })
    )
  }

  /** The interests that are not established yet. */
  #pending(): ReadonlyArray<Interest> {
    return [...this.#interests].filter(({ established }) => !Deferred.isDoneUnsafe(established))
  }

  /** Keeps the subscription on one connection aligned, until the connection is lost or there are no interests. */
  #serve(live: LiveConnection, info: ConnectionInfo, changed: Queue.Queue<void>): Effect.Effect<void, SessionError> {
    const interrupted = Effect.raceFirst(Queue.take(changed), Deferred.await(live.retired))
    return Effect.gen({ self: this }, function*() {
      const scope = yield* Effect.scope
      const options = {
        connection: live.connection,
        info,
        scope,
        request: <A>(method: string, request: Effect.Effect<A, Reason>) => this.#request(method, request)
      }
      const subscription = info.era === "modern" ? new ModernSubscription(options) : new LegacySubscription(options)
      const round = this.#alignUntilEnded(live, subscription, interrupted)
      yield* repeatUntilDone({ effect: round, wake: interrupted })
    }).pipe(
      Effect.mapError((reason) => this.#fail(reason)),
      Effect.scoped,
      Effect.catchIf(
        ({ reason }) => reason.losesConnection || live.isRetired,
        (error) => {
          // Another connection would end in the same way: those that have heard nothing yet are not kept waiting.
          if (error.reason.losesConnection && !error.reason.isRetryable) this.#end(this.#pending(), Effect.fail(error))
          return this.#managed.lose(live, error)
        }
      )
    )
  }

  /** Aligns after each change. Succeeds with whether the connection is done with: lost, or without interests. */
  #alignUntilEnded(
    live: LiveConnection,
    subscription: ServerSubscription,
    interrupted: Effect.Effect<void>
  ): Effect.Effect<boolean, Reason> {
    return Effect.gen({ self: this }, function*() {
      let isFirst = true
      while (true) {
        const aligned = yield* Effect.raceFirst(
          this.#align(live, subscription, isFirst),
          Effect.as(Deferred.await(live.retired), 0)
        )
        if (live.isRetired) return true
        isFirst = false
        if (this.#interests.size === 0) {
          if (aligned === 0) return true
          // All subscribers left during the alignment, so the server has to be told.
          continue
        }
        const hasEnded = yield* Effect.raceFirst(Effect.as(interrupted, false), Effect.as(subscription.ended, true))
        if (live.isRetired) return true
        if (hasEnded) return false
      }
    })
  }

  /** Asks for all interests and returns their number. With `isGap`, established subscribers are told that notifications were missed. */
  #align(live: LiveConnection, subscription: ServerSubscription, isGap: boolean): Effect.Effect<number, Reason> {
    return Effect.suspend(() => {
      const interests = [...this.#interests]
      const uris = [...new Set(interests.flatMap(({ uri }) => uri === undefined ? [] : [uri]))]
      const lists = interests.some(({ uri }) => uri === undefined)
      return Effect.map(subscription.align({ lists, uris }), ({ hadGap, refusals }) => {
        for (const { reason, uri } of refusals) {
          this.#end(interests.filter((interest) => interest.uri === uri), Effect.fail(this.#fail(reason)))
        }
        for (const interest of interests) {
          if (!this.#interests.has(interest)) continue
          const wasEstablished = !Deferred.doneUnsafe(interest.established, Effect.void)
          if (wasEstablished && (isGap || hadGap)) {
            interest.onListening({ _tag: "Listening", generation: live.generation })
          }
        }
        return interests.length
      })
    })
  }

  /** Sends one request with a timeout, and again by the retry policy: repeating it is harmless. */
  #request<A>(method: string, request: Effect.Effect<A, Reason>): Effect.Effect<A, Reason> {
    const { requestTimeout } = this.#managed.definition.config
    return Effect.timeoutOrElse(request, {
      duration: requestTimeout,
      orElse: () => {
        const timeout = Duration.toMillis(requestTimeout)
        return Effect.fail(new RequestTimeout({ method, timeout, delivery: "Unknown" }))
      }
    }).pipe(
      Effect.mapError((reason) => this.#fail(reason)),
      Effect.retry({
        schedule: this.#retry,
        while: ({ delivery, reason }) => delivery !== "Answered" && !reason.losesConnection
      }),
      Effect.mapError(({ reason }) => reason)
    )
  }
}
