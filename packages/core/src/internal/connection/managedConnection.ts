/**
 * The place of one server's connection: opened on demand, shared by all who ask, replaced when lost.
 *
 * The managed is the only owner of connecting and reconnecting. Callers wait for it and may leave at any time without harm
 * to the others. Each connection that comes to live here has the next `generation`; reports about an older one are void.
 */
import * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import * as Scope from "effect/Scope"
import * as SubscriptionRef from "effect/SubscriptionRef"
import type { AnySpan } from "effect/Tracer"
import type { CleanupReport } from "../../Cleanup.ts"
import type { Connection, ConnectionInfo } from "../../Connection.ts"
import * as ConnectionState from "../../ConnectionState.ts"
import * as Health from "../../Health.ts"
import { fromWire, type LogLevel } from "../../Notification.ts"
import type { RetryPolicy } from "../../RetryPolicy.ts"
import type { ServerDefinition } from "../../ServerConfig.ts"
import {
  AlreadyInitialized,
  ConnectTimeout,
  type Reason,
  ServerDown,
  SessionClosed,
  SessionError,
  TransportFailed
} from "../../SessionError.ts"
import type { Peer, Transport } from "../../Transport.ts"
import * as hub from "../notifications/notificationHub.ts"
import { make as makeTurns, type Turns } from "../request/admission.ts"
import { type Deadlines, make as makeDeadlines } from "../request/inFlight.ts"
import { Permits } from "../server/bulkhead.ts"
import type { Circuit } from "../server/circuitBreaker.ts"
import type { Pace } from "../server/rateLimit.ts"
import type { RetryBudget } from "../server/retryBudget.ts"
import { type Counts, isTraced, withSpan } from "../telemetry.ts"
import { make as makeReleases } from "./cleanup.ts"
import { openConnection } from "./connect.ts"
import { signOfLife } from "./liveness.ts"
import { after, make as makeHealing } from "./reconnect.ts"

/** The code of the failure that no sign of life is. */
const silence = "SILENT"

const isSilence = (reason: Reason): boolean => reason._tag === "TransportFailed" && reason.code === silence

/** How long a server may take for a sign of life. */
const patience = Duration.seconds(10)

/** The share of its lifetime that a connection may fall short of it. */
const lifetimeSpread = 0.025

/** What is known of a server, shared by all managedByKey that lead to it. */
export interface ServerState {
  health: Health.Health
  readonly budget: RetryBudget
  readonly circuit: Circuit
  /** The places for requests at it. */
  readonly places: Permits
  readonly pace: Pace
  readonly counts: Counts
  /** Called when its health may read differently. */
  readonly watchers: Set<() => void>
}

/** A connection in its managed. `info` is there once the handshake is done. */
export interface Live {
  readonly generation: number
  readonly connection: Connection
  readonly scope: Scope.Closeable
  /** In which it was made, if that is traced. */
  readonly span: AnySpan | undefined
  info: ConnectionInfo | undefined
  /** Requests under way. They are not cut off when the connection is let go of. */
  inFlight: number
  /** Whether its loss was entered into the health of the server: once, however many requests it took along. */
  isLost: boolean
  /** When the server was last heard on it, in milliseconds since the epoch. */
  heardAt: number
  isRetired: boolean
  /** Completes when the connection has been let go of. */
  readonly retired: Deferred.Deferred<void>
}

export interface ManagedConnection {
  readonly definition: ServerDefinition
  readonly memory: ServerState
  /** The number of the latest connection, 0 before the first. */
  readonly generation: () => number
  /** In which phase it is, and each other one that it comes into. */
  readonly phases: SubscriptionRef.SubscriptionRef<ConnectionState.Phase>
  /** What the server says of its own accord, on whatever connection. */
  readonly hub: hub.Hub
  /** The log messages that every connection asks for; `undefined` leaves that to the server. */
  logLevel: LogLevel | undefined
  /** The tools that the server said on its connection of a number do no harm when run twice. */
  safeTools: { readonly generation: number; readonly names: ReadonlySet<string> } | undefined
  /** The time limits of its calls. */
  readonly deadlines: Deadlines
  /** Whose turn it is. */
  readonly turns: Turns
  /** The connection if there is one, without waiting. The way in for calls. */
  readonly peek: () => Live | undefined
  /** The connection, made by the retry policy if there is none. */
  readonly acquire: Effect.Effect<Live, SessionError>
  /** The same with one try alone, for those who pace their tries themselves. */
  readonly acquireOnce: Effect.Effect<Live, SessionError>
  /** The handshake of a managed that was made with `initialize: false`. */
  readonly initialize: Effect.Effect<Live, SessionError>
  /**
   * Lets go of a connection that turned out to be lost. It is closed once the requests under way on it have ended: each of
   * them learns its own fate. Of an older generation: nothing happens.
   */
  readonly lose: (live: Live, error: SessionError) => Effect.Effect<void>
  /**
   * To be called when a request got no answer in time: the server may be slow, or gone without a word. A connection on which
   * it gives no sign of life is lost.
   */
  readonly suspect: (live: Live) => Effect.Effect<void>
  /** To be called when anything comes on a connection outside of answers. */
  readonly heard: (live: Live) => void
  /** To be called after each request on a connection, which counted itself in `inFlight`. */
  readonly leave: (live: Live) => Effect.Effect<void>
  /** Enters the result of an exchange into the health of the server. */
  readonly observe: (error: SessionError | undefined, live?: Live) => Effect.Effect<void>
  /** The same of an answer, at once. */
  readonly answered: (live: Live) => void
  /** Lets go of the connection, so that the next use makes another. */
  readonly restart: Effect.Effect<void>
  /** Sees to it that there is a connection whenever there can be one, for as long as the scope is open. */
  readonly keepAlive: Effect.Effect<void, never, Scope.Scope>
}

/** What a managed is made for. */
export interface Options {
  readonly definition: ServerDefinition
  readonly owner: string
  readonly transport: Transport["Service"]
  readonly peer: typeof Peer.Service
  readonly memory: ServerState
  readonly retry: RetryPolicy
  readonly reconnect: RetryPolicy
  readonly onCleanup: (report: CleanupReport) => Effect.Effect<void>
  readonly initialize: boolean
  readonly logLevel: LogLevel | undefined
}

/** Makes an empty managed that lives as long as the scope. */
export const make = Effect.fnUntraced(function*(
  options: Options
): Effect.fn.Return<ManagedConnection, never, Scope.Scope> {
  const { definition, memory, transport } = options
  const { connectTimeout, healthInterval, maxLifetime } = definition.config
  const healthMillis = Duration.toMillis(healthInterval)
  const scope = yield* Effect.scope
  yield* Effect.addFinalizer(() => on({ _tag: "Closed" }))
  // Below the finalizer of the managed, so that those who wait are told before what they wait for is interrupted.
  const work = yield* Scope.fork(scope)
  // A connection is shared, so it is made in the context in which the managed was, and in no caller's.
  const context = yield* Effect.context<never>()
  const deadlines = yield* makeDeadlines
  const clock = yield* Clock.Clock
  const notifications = hub.make()
  let state = ConnectionState.initial
  const phases = yield* SubscriptionRef.make<ConnectionState.Phase>(state.phase)
  let live: Live | undefined
  /** The connection that is being made: by one try, or by the retry policy. */
  let connecting: { readonly made: Deferred.Deferred<Live, SessionError>; readonly isPatient: boolean } | undefined
  /** How the latest tries ended, if they did not bring a connection. */
  let failure: SessionError | undefined
  /** The latest that was to make a connection. */
  let starting: Fiber.Fiber<boolean> | undefined
  let handshake = options.initialize
  let closed = false

  const fail = (reason: Reason) => new SessionError({ server: definition.name, reason })

  /** Changes the state at once, and gives what tells of it. */
  const on = (event: ConnectionState.Event): Effect.Effect<void> => {
    const before = state
    state = ConnectionState.transition({ state, event })
    const { phase } = state
    return phase === before.phase ? Effect.void : SubscriptionRef.set(phases, phase)
  }

  const heard = (live: Live): void => {
    live.heardAt = clock.currentTimeMillisUnsafe()
  }

  const enter = (error: SessionError | undefined, live: Live | undefined): void => {
    const now = clock.currentTimeMillisUnsafe()
    const { health } = memory
    if (live !== undefined && (error === undefined || error.reason.health === "alive")) live.heardAt = now
    memory.health = error === undefined
      ? Health.answered({ health, now })
      : Health.failed({ health, error, now })
    const isNews = memory.health.errorCount !== health.errorCount || health.lastChecked === undefined
    if (isNews) memory.watchers.forEach((watcher) => watcher())
  }

  const observe = (error: SessionError | undefined, live?: Live) => Effect.sync(() => enter(error, live))

  const { release, settle } = makeReleases({ server: definition.name, onCleanup: options.onCleanup })

  const drop = (lost: Live) =>
    Effect.suspend(() => {
      if (live !== lost) return Effect.void
      // At once: whoever looks between sees either the connection or the loss of it.
      live = undefined
      lost.isRetired = true
      return on({ _tag: "Lost", generation: lost.generation }).pipe(
        Effect.andThen(Deferred.succeed(lost.retired, undefined)),
        Effect.andThen(lost.inFlight === 0 ? release(lost) : Effect.void)
      )
    }).pipe(Effect.uninterruptible)

  const leave = (left: Live) => {
    left.inFlight--
    return left.isRetired && left.inFlight === 0 ? release(left) : Effect.void
  }

  const lose = (live: Live, error: SessionError) =>
    Effect.suspend(() => {
      if (live.isLost) return drop(live)
      live.isLost = true
      return Effect.andThen(observe(error), drop(live))
    })

  const suspect = (live: Live) =>
    Effect.suspend(() => {
      if (state.phase._tag !== "Ready" || state.phase.generation !== live.generation) return Effect.void
      const { generation } = live
      const isAlive = Effect.suspend(() => on({ _tag: "Heard", generation }))
      const askedAt = live.heardAt
      const asked: Effect.Effect<void> = signOfLife(live).pipe(
        Effect.timeoutOrElse({
          duration: patience,
          orElse: () => {
            const description = `the server gave no sign of life for ${Duration.format(patience)}`
            return Effect.fail(new TransportFailed({ description, code: silence, delivery: "Unknown" }))
          }
        }),
        Effect.matchEffect({
          onFailure: (reason): Effect.Effect<void> => {
            if (reason.losesConnection) return lose(live, fail(reason))
            // Anything but silence is a sign of life, a refusal for want of time among it.
            if (!isSilence(reason) || live.heardAt > askedAt) return isAlive
            // It may be at work on another call, one after the other. When that has ended, too, it has no more excuse.
            return live.inFlight > 0 && !live.isRetired ? asked : lose(live, fail(reason))
          },
          onSuccess: () => Effect.andThen(observe(undefined, live), isAlive)
        })
      )
      return Effect.andThen(
        on({ _tag: "Silent", generation }),
        Effect.asVoid(Effect.forkIn(asked, live.scope, { startImmediately: true }))
      )
    })

  /** Asks for a sign of life from time to time, where nothing else brings one. It borrows nothing and closes nothing in use. */
  const probe = (live: Live) =>
    Effect.gen(function*() {
      while (true) {
        const pause = healthMillis * (yield* Random.nextBetween(0.8, 1.2))
        yield* Effect.sleep(Duration.millis(pause))
        if ((yield* Clock.currentTimeMillis) - live.heardAt > pause / 2) yield* suspect(live)
      }
    })

  /** Lets go of a connection that has got old. Those that were made together do not go together. */
  const retire = (live: Live) =>
    Effect.gen(function*() {
      const age = Duration.toMillis(maxLifetime) * (1 - lifetimeSpread * (yield* Random.next))
      yield* Effect.sleep(Duration.millis(age))
      yield* drop(live)
    })

  const watch = (live: Live) =>
    live.connection.closed.pipe(
      Effect.andThen((reason) => live.info === undefined ? drop(live) : lose(live, fail(reason))),
      Effect.forkIn(live.scope, { startImmediately: true }),
      Effect.andThen(healthMillis === 0 ? Effect.void : Effect.forkIn(probe(live), live.scope)),
      Effect.andThen(Duration.isZero(maxLifetime) ? Effect.void : Effect.forkIn(retire(live), live.scope)),
      Effect.asVoid
    )

  /** The handshake, and what the server has to be told anew on each connection. */
  const greet = (connection: Connection): Effect.Effect<ConnectionInfo, Reason> =>
    Effect.tap(
      connection.initialize,
      ({ capabilities }) =>
        managed.logLevel === undefined || capabilities.logging === undefined ? Effect.void : Effect.catchTag(
          connection.setLogLevel(managed.logLevel),
          ["ProtocolFailed", "InvalidResult"],
          // A server that will not log as it was asked to can be used all the same.
          (reason) => Effect.logDebug("the server did not accept the log level", reason)
        )
    )

  /** Notes that something came on a connection, of whatever kind. */
  const heardOn = (connection: Connection): void => {
    if (live?.connection === connection) heard(live)
  }

  const open = Effect.suspend(() => {
    memory.counts.connects++
    return openConnection({
      transport,
      peer: options.peer,
      timeout: connectTimeout,
      parent: work,
      onConnection: (connection) =>
        connection.onNotification((notification) => {
          heardOn(connection)
          notifications.publish(fromWire(notification))
        }),
      greet: handshake ? greet : undefined,
      release
    })
  }).pipe(Effect.mapError(fail))

  const traced = yield* Effect.withFiber((fiber) => Effect.succeed(isTraced(fiber)))

  const inSpan = (effect: Effect.Effect<Live, SessionError>) =>
    Effect.suspend(() =>
      withSpan({
        effect,
        name: "connect",
        kind: "client",
        attributes: {
          "mcp.server": definition.name,
          "mcp.transport": definition.config.transport,
          "mcp.attempt": state.phase._tag === "Backoff" ? state.phase.attempt + 1 : 1
        }
      })
    )

  /** An attempt, where one may be made. What comes of it is known to all who look at the health of the server. */
  const attempted: Effect.Effect<Live, SessionError> = Effect.gen(function*() {
    const now = yield* Clock.currentTimeMillis
    const retryAt = ConnectionState.startableAt({ state, now })
    if (retryAt > now) return yield* fail(new ServerDown({ retryAt }))
    yield* on({ _tag: "Attempted", now })
    const { connection, info, scope } = yield* memory.circuit.guard(Effect.tapError(open, observe))
    const heardAt = yield* Clock.currentTimeMillis
    yield* on({ _tag: "Connected", now: heardAt })
    yield* observe(undefined)
    return {
      generation: state.generation,
      connection,
      info,
      scope,
      span: traced ? Option.getOrUndefined(yield* Effect.option(Effect.currentParentSpan)) : undefined,
      inFlight: 0,
      isLost: false,
      heardAt,
      isRetired: false,
      retired: Deferred.makeUnsafe<void>()
    }
  }).pipe(
    Effect.tapError((error) =>
      error.reason._tag === "ServerDown"
        ? on({ _tag: "Down", retryAt: error.reason.retryAt, error: memory.health.lastError })
        : on({ _tag: "Failed", error })
    )
  )
  const attempt = traced ? inSpan(attempted) : attempted

  const start = (
    tries: Effect.Effect<Live, SessionError>,
    { isPatient, made }: NonNullable<typeof connecting>
  ) =>
    tries.pipe(
      Effect.onExit((exit) =>
        Effect.suspend(() => {
          connecting = undefined
          failure = Option.getOrUndefined(Exit.findErrorOption(exit))
          if (Exit.isSuccess(exit)) {
            live = exit.value
            return watch(exit.value)
          }
          // Whoever tries once will do so again.
          return isPatient ? on({ _tag: "GaveUp" }) : Effect.void
        })
      ),
      Deferred.into(made),
      Effect.updateContext((_: Context.Context<never>) => context),
      Effect.forkIn(work, { startImmediately: true }),
      Effect.map((fiber) => {
        starting = fiber
      })
    )

  // Whoever is interrupted may do so while waiting, but not between promising a connection and beginning to make one.
  const acquireBy = (isPatient: boolean, first?: SessionError): Effect.Effect<Live, SessionError> =>
    Effect.uninterruptibleMask((restore) =>
      Effect.suspend(() => {
        if (closed) return Effect.fail(fail(new SessionClosed()))
        if (live !== undefined) return Effect.succeed(live)
        const current = connecting
        if (current !== undefined) {
          const joined = restore(Deferred.await(current.made))
          // The one try of another is the first of those that are due to this one.
          return current.isPatient || !isPatient
            ? joined
            : Effect.catchIf(joined, () => !closed, (error) => restore(acquireBy(true, error)))
        }
        const made = Deferred.makeUnsafe<Live, SessionError>()
        const next = connecting = { made, isPatient }
        const tries = isPatient ? Effect.retry(after({ first, effect: attempt }), options.retry) : attempt
        return Effect.andThen(start(tries, next), restore(Deferred.await(made)))
      })
    )

  const acquire = acquireBy(true)
  const acquireOnce = acquireBy(false)

  const initialize = Effect.suspend(() => {
    if (handshake) return Effect.fail(fail(new AlreadyInitialized()))
    handshake = true
    return acquire.pipe(
      Effect.tap((live) =>
        live.info === undefined
          ? greet(live.connection).pipe(
            Effect.timeoutOrElse({
              duration: connectTimeout,
              orElse: () =>
                Effect.fail(
                  new ConnectTimeout({
                    timeout: Duration.toMillis(connectTimeout),
                    stderrTail: live.connection.stderrTail()
                  })
                )
            }),
            Effect.mapError(fail),
            Effect.tapError(observe),
            Effect.onExit((exit) => {
              if (Exit.isFailure(exit)) return drop(live)
              live.info = exit.value
              return observe(undefined)
            })
          )
          : Effect.void
      ),
      Effect.onError(() =>
        Effect.sync(() => {
          handshake = false
        })
      )
    )
  })

  const { keepAlive, restarted } = yield* makeHealing({
    current: () => live,
    failure: () => failure,
    acquireOnce,
    reconnect: options.reconnect
  })

  const restart = Effect.suspend(() => {
    failure = undefined
    return Effect.andThen(live === undefined ? Effect.void : drop(live), restarted)
  })

  yield* Effect.addFinalizer(() =>
    Effect.suspend(() => {
      closed = true
      const last = live
      live = undefined
      const waiting = connecting
      connecting = undefined
      const told = waiting === undefined ? Effect.void : Deferred.fail(waiting.made, fail(new SessionClosed()))
      return on({ _tag: "Closing" }).pipe(
        Effect.andThen(told),
        // What it has opened by now is released like all else.
        Effect.andThen(starting === undefined ? Effect.void : Fiber.interrupt(starting)),
        Effect.andThen(settle(last))
      )
    })
  )

  const managed: ManagedConnection = {
    definition,
    memory,
    generation: () => state.generation,
    phases,
    hub: notifications,
    logLevel: options.logLevel,
    safeTools: undefined,
    deadlines,
    turns: makeTurns({
      config: definition.config,
      owner: options.owner,
      session: new Permits(definition.config.maxInFlight),
      server: memory.places,
      pace: memory.pace
    }),
    peek: () => live,
    acquire,
    acquireOnce,
    initialize,
    lose,
    suspect,
    heard,
    leave,
    observe,
    answered: (live) => enter(undefined, live),
    restart,
    keepAlive
  }
  return managed
})
