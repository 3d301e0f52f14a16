/**
 * A session of a pool: opened as an owner, validated before it is leased, and lost with its connection.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Session } from "../../Session.ts"
import { ClientSession } from "../session/clientSession.ts"
import type { Allocatable, PoolIdentity } from "./allocation.ts"
import type { Failure, PoolPort } from "./poolPort.ts"

/** Lifetimes are shortened at random by up to this share, so that sessions do not expire together. */
const lifetimeJitter = 0.025

/** How long a session may take to answer the ping that validates it. */
const validationTimeout = "2 seconds"

export interface PooledSession extends Allocatable {
  readonly session: Session
  readonly scope: Scope.Closeable
  /** The number of the connection that it was opened with. */
  readonly generation: number
  readonly openedAt: number
  leases: number
  idleSince: number
  isRetired: boolean
}

/** Opens a session in a scope below `scope`. */
export const open = Effect.fnUntraced(function*(options: {
  readonly port: PoolPort
  readonly identity: PoolIdentity
  readonly scope: Scope.Scope
  readonly lifeMillis: number
  readonly now: () => number
}): Effect.fn.Return<PooledSession, Failure> {
  const { identity, lifeMillis, now, port } = options
  const scope = Scope.forkUnsafe(options.scope)
  return yield* Effect.gen(function*() {
    const session = yield* port.open(identity.owner)
    const lifetime = Math.round(lifeMillis * (1 - lifetimeJitter * (yield* Random.next)))
    const opened: PooledSession = {
      // The credentials may have changed since the session was asked for.
      identity: ClientSession.identityOf(session) ?? identity,
      session,
      scope,
      generation: yield* session.generation,
      openedAt: now(),
      expiresAt: lifeMillis === 0 ? Number.POSITIVE_INFINITY : now() + lifetime,
      leases: 0,
      idleSince: now(),
      isRetired: false
    }
    return opened
  }).pipe(Scope.provide(scope), Effect.onError(() => Scope.close(scope, Exit.void)))
})

/** Whether a session is on the connection that it was opened with. */
export const isIntact = ({ generation, session }: PooledSession): Effect.Effect<boolean> =>
  Effect.map(
    Effect.all([session.state, session.generation]),
    ([state, latest]) => latest === generation && (state._tag === "Ready" || state._tag === "Suspect")
  )

/** Whether a session can be used: intact, and, after `validateMillis` of idle time or a missing response, answering a ping. */
export const validate = (options: {
  readonly pooled: PooledSession
  readonly validateMillis: number
  readonly now: number
}): Effect.Effect<boolean> => {
  const { now, pooled, validateMillis } = options
  const pinged = Effect.timeoutOption(Effect.exit(ClientSession.probe(pooled.session)), validationTimeout)
  return Effect.flatMap(Effect.all([isIntact(pooled), pooled.session.state]), ([intact, state]) => {
    const isFresh = state._tag === "Ready" && (pooled.leases > 1 || now - pooled.idleSince <= validateMillis)
    if (!intact || isFresh) return Effect.succeed(intact)
    // The ping may have replaced the connection.
    return Effect.flatMap(
      pinged,
      (exit) => Option.isSome(exit) && Exit.isSuccess(exit.value) ? isIntact(pooled) : Effect.succeed(false)
    )
  })
}

/** Runs `onLost` whenever the session is without a connection. */
export const watch = ({ onLost, pooled }: {
  readonly pooled: PooledSession
  readonly onLost: () => void
}): Effect.Effect<void> =>
  Stream.runForEach(pooled.session.stateChanges, ({ _tag }) =>
    Effect.sync(() => {
      if (_tag !== "Ready" && _tag !== "Suspect") onLost()
    }))
