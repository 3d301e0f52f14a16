/**
 * Keeps a server telling of changes for as long as someone wants to hear of them, across reconnects.
 *
 * One keeper for each managed, there only while something is wanted, brings the live connection in line with that. When the
 * connection is lost it sees to the next one.
 */
import * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Random from "effect/Random"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as SubscriptionRef from "effect/SubscriptionRef"
import type { ConnectionInfo } from "../../Connection.ts"
import type { Listening } from "../../Notification.ts"
import type { RetryPolicy } from "../../RetryPolicy.ts"
import { NotInitialized, type Reason, RequestTimeout, SessionClosed, SessionError } from "../../SessionError.ts"
import type { Live, ManagedConnection } from "../connection/managedConnection.ts"
import { make as makeTeller, type Teller } from "./subscriber.ts"

/** Someone who wants to hear of the changes of lists, or of one resource. */
interface Wish {
  readonly uri: string | undefined
  /** Called when the server, having not told for a while, does so again. */
  readonly onListening: (listening: Listening) => void
  /** Completes once the server tells of it. */
  readonly standing: Deferred.Deferred<void, SessionError>
  /** Fails when it does no longer and cannot be made to. */
  readonly failed: Deferred.Deferred<never, SessionError>
}

/** A wish that is being met. `failed` fails when it no longer is and cannot be. */
interface Standing {
  readonly failed: Effect.Effect<never, SessionError>
}

export interface Subscriptions {
  /**
   * Wants to hear of the changes of a resource, or of the lists where there is no `uri`, for as long as the scope is open.
   * Returns once the server tells of them.
   */
  readonly want: (wish: Pick<Wish, "uri" | "onListening">) => Effect.Effect<Standing, SessionError, Scope.Scope>
}

/** Pauses after what did not last, in milliseconds: longer each time, and by chance up to a half shorter. */
const pauses = { first: 1000, factor: 1.6, last: 120_000 }

/** How long it has to last for the pauses to start over, in milliseconds. */
const lasting = 60_000

/** Runs an effect again and again until it says that it is done, with pauses that `early` may cut short. */
const again = <E, R>(
  effect: Effect.Effect<boolean, E, R>,
  early: Effect.Effect<unknown>
): Effect.Effect<void, E, R> =>
  Effect.gen(function*() {
    let failures = 0
    while (true) {
      const began = yield* Clock.currentTimeMillis
      if (yield* effect) return
      failures = (yield* Clock.currentTimeMillis) - began >= lasting ? 0 : failures + 1
      const longest = Math.min(pauses.first * pauses.factor ** Math.max(0, failures - 1), pauses.last)
      const pause = Effect.sleep(longest * (yield* Random.nextBetween(0.5, 1)))
      yield* Effect.raceFirst(pause, early)
    }
  })

/** Makes the subscriptions of a managed, which end with the scope. */
export const make = Effect.fnUntraced(function*(options: {
  readonly managed: ManagedConnection
  readonly retry: RetryPolicy
  readonly reconnect: RetryPolicy
}): Effect.fn.Return<Subscriptions, never, Scope.Scope> {
  const { managed } = options
  const { config, name: server } = managed.definition
  const scope = yield* Effect.scope
  // Wishes come and go, but what keeps them belongs to none of those who have them.
  const context = yield* Effect.context<never>()
  const wishes = new Set<Wish>()
  const changed = yield* Queue.sliding<void>(1)
  let isKept = false
  let isClosed = false

  const fail = (reason: Reason) => new SessionError({ server, reason })

  const refuse = (refused: Iterable<Wish>, why: Effect.Effect<never, SessionError>): void => {
    for (const wish of refused) {
      wishes.delete(wish)
      Deferred.doneUnsafe(wish.standing, why)
      Deferred.doneUnsafe(wish.failed, why)
    }
  }

  /** One request within its time, and again by the policy: asking twice does no more than asking once. */
  const inTime = <A>(method: string, request: Effect.Effect<A, Reason>): Effect.Effect<A, Reason> =>
    Effect.timeoutOrElse(request, {
      duration: config.requestTimeout,
      orElse: () => {
        const timeout = Duration.toMillis(config.requestTimeout)
        return Effect.fail(new RequestTimeout({ method, timeout, delivery: "Unknown" }))
      }
    }).pipe(
      Effect.mapError(fail),
      Effect.retry({
        schedule: options.retry,
        while: ({ delivery, reason }) => delivery !== "Answered" && !reason.losesConnection
      }),
      Effect.mapError(({ reason }) => reason)
    )

  /**
   * Asks for all that is wanted, and gives by how many. With `isNews`, those for whom it stands already are told that it does
   * again.
   */
  const align = (live: Live, asking: Teller, isNews: boolean): Effect.Effect<number, Reason> =>
    Effect.suspend(() => {
      const asked = [...wishes]
      const uris = [...new Set(asked.flatMap(({ uri }) => uri === undefined ? [] : [uri]))]
      return Effect.map(
        asking.align({ lists: asked.some(({ uri }) => uri === undefined), uris }),
        ({ hadGap, refusals }) => {
          for (const { reason, uri } of refusals) {
            refuse(asked.filter((wish) => wish.uri === uri), Effect.fail(fail(reason)))
          }
          for (const wish of asked) {
            if (!wishes.has(wish)) continue
            if (!Deferred.doneUnsafe(wish.standing, Effect.void) && (isNews || hadGap)) {
              wish.onListening({ _tag: "Listening", generation: live.generation })
            }
          }
          return asked.length
        }
      )
    })

  /** Has the server tell on one connection, until that is lost or nothing is wanted any more. */
  const serve = (live: Live, info: ConnectionInfo): Effect.Effect<void, SessionError> =>
    Effect.gen(function*() {
      const asking = yield* makeTeller({ connection: live.connection, info, inTime })
      let isNews = true
      yield* again(
        Effect.gen(function*() {
          while (true) {
            const asked = yield* Effect.raceFirst(
              align(live, asking, isNews),
              Effect.as(Deferred.await(live.retired), 0)
            )
            if (live.isRetired) return true
            isNews = false
            if (wishes.size === 0) {
              if (asked === 0) return true
              // All have left meanwhile, and the server does not know.
              continue
            }
            const hasEnded = yield* Effect.raceFirst(
              Effect.as(Effect.raceFirst(Queue.take(changed), Deferred.await(live.retired)), false),
              Effect.as(asking.ended, true)
            )
            if (live.isRetired) return true
            if (hasEnded) {
              isNews = true
              return false
            }
          }
        }),
        Effect.raceFirst(Queue.take(changed), Deferred.await(live.retired))
      )
    }).pipe(
      Effect.mapError(fail),
      Effect.scoped,
      Effect.catchIf(
        ({ reason }) => reason.losesConnection || live.isRetired,
        (error) => managed.lose(live, error)
      )
    )

  const isAwaited = () => [...wishes].some(({ standing }) => !Deferred.isDoneUnsafe(standing))

  /**
   * A connection to have the server tell on. Who waits to hear for the first time is told where there is none; for the others
   * it is tried again, once at a time.
   */
  const connected = Effect.suspend(() => isAwaited() ? managed.acquire : managed.acquireOnce).pipe(
    Effect.tapError((error) =>
      Effect.sync(() =>
        refuse([...wishes].filter(({ standing }) => !Deferred.isDoneUnsafe(standing)), Effect.fail(error))
      )
    ),
    Effect.retry({
      schedule: options.reconnect,
      while: ({ reason }) => reason._tag !== "SessionClosed" && wishes.size > 0
    })
  )

  /** A connection that someone else has made needs no waiting for. */
  const ready = SubscriptionRef.changes(managed.phases).pipe(
    Stream.filter(({ _tag }) => _tag === "Ready"),
    Stream.runHead
  )

  const keep = again(
    Effect.gen(function*() {
      if (wishes.size > 0) {
        const live = yield* connected
        if (live.info === undefined) return yield* fail(new NotInitialized())
        yield* serve(live, live.info)
      }
      isKept = wishes.size > 0
      return !isKept
    }),
    Effect.raceFirst(ready, Queue.take(changed))
  ).pipe(
    // Defects too: those who wait would wait for ever.
    Effect.catchCause((cause) =>
      Effect.sync(() => {
        isKept = false
        refuse(wishes, Effect.failCause(cause))
      })
    ),
    Effect.updateContext((_: Context.Context<never>) => context),
    Effect.forkIn(scope, { startImmediately: true })
  )

  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      isClosed = true
      refuse(wishes, Effect.fail(fail(new SessionClosed())))
    })
  )

  return {
    want: (wanted) =>
      Effect.gen(function*() {
        if (isClosed) return yield* fail(new SessionClosed())
        const wish: Wish = { ...wanted, standing: Deferred.makeUnsafe(), failed: Deferred.makeUnsafe() }
        yield* Effect.acquireRelease(
          Effect.suspend(() => {
            wishes.add(wish)
            Queue.offerUnsafe(changed, undefined)
            if (isKept) return Effect.void
            isKept = true
            return Effect.asVoid(keep)
          }),
          () =>
            Effect.sync(() => {
              if (wishes.delete(wish)) Queue.offerUnsafe(changed, undefined)
            })
        )
        yield* Deferred.await(wish.standing)
        return { failed: Deferred.await(wish.failed) }
      })
  }
})
