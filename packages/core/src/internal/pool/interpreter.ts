/**
 * Interpreter of a pool: carries out what `allocation` decides.
 *
 * {@link Interpreter.serve} runs after each change. Sessions are opened in the background and belong to no caller, so that a caller
 * that leaves early wastes nothing, and the next one finds the session ready.
 */
import type * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import { SessionClosed, SessionError } from "../../SessionError.ts"
import * as monotonic from "../monotonic.ts"
import { ClientSession } from "../session/clientSession.ts"
import { type Action, allocate, type PoolIdentity } from "./allocation.ts"
import { LatestFailure } from "./latestFailure.ts"
import { Leases } from "./leases.ts"
import { isIntact, open, type PooledSession, watch } from "./pooledSession.ts"
import type { PoolOptions } from "./poolOptions.ts"
import type { Failure, PoolPort, PoolStats } from "./poolPort.ts"
import { isShort, Refill } from "./refill.ts"
import { due, nextDue, Sweeper } from "./sweeper.ts"

/** A caller that waits for a session. */
export interface Waiter {
  identity: PoolIdentity
  /** The session that it got. */
  pooled: PooledSession | undefined
  readonly resume: (served: Effect.Effect<void, Failure>) => void
}

export interface Parts {
  readonly options: PoolOptions
  readonly port: PoolPort
  readonly clock: Clock.Clock
  readonly context: Context.Context<never>
  /** The scope of the background fibers. */
  readonly work: Scope.Scope
  /** The scope of the sessions. */
  readonly all: Scope.Scope
}

export class Interpreter {
  readonly options: PoolOptions
  readonly port: PoolPort
  readonly leases: Leases
  readonly latestFailure: LatestFailure
  readonly #parts: Parts
  readonly #sessions = new Set<PooledSession>()
  readonly #waiters = new Set<Waiter>()
  readonly #opening: Array<PoolIdentity> = []
  readonly #refill: Refill
  readonly #sweeper: Sweeper
  #closing = 0
  #isClosed = false
  #isServing = false
  #isDirty = false

  constructor(parts: Parts) {
    const { clock, options, port } = parts
    this.#parts = parts
    this.options = options
    this.port = port
    this.leases = new Leases(options.leakMillis)
    this.latestFailure = new LatestFailure(options.server)
    this.#refill = new Refill({
      isShort: () =>
        this.#size() < options.max && isShort({ ...options, sessions: this.#sessions, opening: this.#opening }),
      open: this.#openOwn,
      onFailure: (cause) =>
        this.#isClosed ? Effect.interrupt : Effect.fail(this.latestFailure.describe(cause, options.owner)),
      start: (effect) => void this.#start(effect),
      onDone: () => this.#changed()
    })
    this.#sweeper = new Sweeper({
      clock,
      start: (effect) => this.#start(effect),
      nextDue: () => Math.min(nextDue({ ...options, sessions: this.#sessions }), this.leases.nextLeakAt()),
      sweep: Effect.sync(() => this.#sweep())
    })
  }

  now(): number {
    return monotonic.nowOf(this.#parts.clock)
  }

  stats(): PoolStats {
    let active = 0
    for (const { leases } of this.#sessions) if (leases > 0) active++
    return {
      total: this.#size(),
      active,
      idle: this.#sessions.size - active,
      waiting: this.#waiters.size,
      max: this.options.max
    }
  }

  drain(): void {
    for (const pooled of this.#sessions) this.retire(pooled)
    this.serve()
  }

  /** Serves nobody any more. The scopes of the pool close what is open. */
  close(): void {
    this.#isClosed = true
    for (const { resume } of this.#waiters) resume(Effect.fail(this.#closedError()))
    this.#waiters.clear()
  }

  /** Waits until a session is leased to `waiter`. */
  wait(waiter: { pooled: PooledSession | undefined }, identity: PoolIdentity): Effect.Effect<void, Failure> {
    return Effect.callback((resume) => {
      if (this.#isClosed) return resume(Effect.fail(this.#closedError()))
      const waiting: Waiter = Object.assign(waiter, { identity, resume })
      this.#waiters.add(waiting)
      this.serve()
      return Effect.sync(() => this.#waiters.delete(waiting))
    })
  }

  /** Ends a lease. The session is leased again if it is intact, not too old, and has no requests in flight. */
  release(pooled: PooledSession, wasUsed: boolean): Effect.Effect<void> {
    return Effect.map(isIntact(pooled), (intact) => {
      pooled.leases--
      if (wasUsed) pooled.idleSince = this.now()
      if (!intact) this.#refill.recordLoss(this.now() - pooled.openedAt)
      // A request that outlives its lease would interfere with the next one.
      const isQuiet = pooled.leases > 0 || this.options.concurrency > 1 ||
        ClientSession.inFlightOf(pooled.session) === 0
      if (!intact || !isQuiet || pooled.isRetired || pooled.expiresAt <= this.now()) this.retire(pooled)
      this.#changed()
    })
  }

  /** Evicts the sessions that an owner opened with other credentials than those of `identity`. */
  evictOthers(identity: PoolIdentity): void {
    for (const pooled of this.#sessions) {
      const isOther = pooled.identity.owner === identity.owner && !Equal.equals(pooled.identity, identity)
      if (isOther) this.retire(pooled)
    }
  }

  /** Retires a session, which takes no further lease. It closes when its last lease has ended. */
  retire(pooled: PooledSession): void {
    pooled.isRetired = true
    if (pooled.leases === 0) this.#close(pooled)
  }

  watchLeases(): void {
    if (!this.#isClosed) this.#sweeper.arm()
  }

  // ---------------------------------------------------------------------------
  // Serving
  // ---------------------------------------------------------------------------

  /** Carries out what `allocate` decides. An action may change the state at once; then the rest is decided anew. */
  serve(): void {
    this.#isDirty = true
    if (this.#isServing) return
    this.#isServing = true
    while (this.#isDirty && !this.#isClosed) {
      this.#isDirty = false
      for (const action of this.#allocate()) {
        this.#carryOut(action)
        if (this.#isDirty) break
      }
      if (!this.#isDirty) this.#refill.run()
    }
    this.#isServing = false
  }

  #allocate() {
    return allocate({
      ...this.options,
      sessions: this.#sessions,
      waiters: this.#waiters,
      opening: this.#opening,
      closing: this.#closing,
      now: this.now()
    })
  }

  #carryOut(action: Action<PooledSession, Waiter>): void {
    switch (action._tag) {
      case "Lease":
        action.session.leases++
        action.waiter.pooled = action.session
        this.#waiters.delete(action.waiter)
        return action.waiter.resume(Effect.void)
      case "Open":
        return this.#open(action.identity)
      case "Close":
        return this.#close(action.session)
    }
  }

  #changed(): void {
    this.serve()
    if (!this.#isClosed) this.#sweeper.arm()
  }

  #size(): number {
    return this.#sessions.size + this.#opening.length + this.#closing
  }

  #closedError(): SessionError {
    return new SessionError({ server: this.options.server, reason: new SessionClosed() })
  }

  // ---------------------------------------------------------------------------
  // Opening and closing
  // ---------------------------------------------------------------------------

  #start(effect: Effect.Effect<void>): Fiber.Fiber<void> {
    return Fiber.runIn(Effect.runForkWith(this.#parts.context)(effect), this.#parts.work)
  }

  /** Opens a session, which occupies its place from the start. */
  #opened(identity: PoolIdentity): Effect.Effect<PooledSession, Failure> {
    return Effect.suspend(() => {
      this.#opening.push(identity)
      const opened = open({
        port: this.port,
        identity,
        scope: this.#parts.all,
        lifeMillis: this.options.lifeMillis,
        now: () => this.now()
      })
      return Effect.ensuring(
        opened,
        Effect.sync(() => {
          this.#opening.splice(this.#opening.indexOf(identity), 1)
        })
      )
    })
  }

  #open(identity: PoolIdentity): void {
    this.#start(Effect.map(Effect.exit(this.#opened(identity)), (exit) => {
      if (Exit.isSuccess(exit)) this.#add(exit.value, identity)
      else this.#refuse(identity, exit.cause)
      this.#changed()
    }))
  }

  #add(pooled: PooledSession, wanted: PoolIdentity): void {
    this.#sessions.add(pooled)
    if (!Equal.equals(pooled.identity, wanted)) {
      // The credentials have changed. Waiters with the old ones get the session of the new ones.
      for (const waiter of this.#waiters) if (Equal.equals(waiter.identity, wanted)) waiter.identity = pooled.identity
    }
    const onLost = () => {
      if (pooled.leases > 0 || pooled.isRetired) return
      this.#refill.recordLoss(this.now() - pooled.openedAt)
      this.retire(pooled)
      this.serve()
    }
    const watched = watch({ pooled, onLost })
    Fiber.runIn(Effect.runForkWith(this.#parts.context)(watched), pooled.scope)
  }

  /** Fails the first waiter that could have used the session. */
  #refuse(identity: PoolIdentity, cause: Cause.Cause<Failure>): void {
    this.latestFailure.record(cause, identity.owner)
    for (const waiter of this.#waiters) {
      if (!Equal.equals(waiter.identity, identity)) continue
      this.#waiters.delete(waiter)
      return waiter.resume(Effect.failCause(cause))
    }
  }

  #close(pooled: PooledSession): void {
    // Once the pool has ended its scope closes the sessions.
    if (this.#isClosed || !this.#sessions.delete(pooled)) return
    this.#closing++
    this.#start(
      Effect.andThen(
        // The session itself reports what does not close cleanly.
        Effect.uninterruptible(Effect.exit(Scope.close(pooled.scope, Exit.void))),
        Effect.sync(() => {
          this.#closing--
          this.serve()
        })
      )
    )
  }

  // ---------------------------------------------------------------------------
  // Upkeep
  // ---------------------------------------------------------------------------

  /** Opens one session for the owner of the pool, unless others have taken the place meanwhile. */
  get #openOwn(): Effect.Effect<void, Failure> {
    return Effect.flatMap(
      Effect.suspend(() => this.port.identity(this.options.owner)),
      (identity) =>
        this.#size() >= this.options.max
          ? Effect.void
          : Effect.map(this.#opened(identity), (pooled) => this.#add(pooled, identity))
    )
  }

  /** Closes idle and expired sessions, and reports leaks. */
  #sweep(): void {
    const { onLeak, server } = this.options
    for (const pooled of due({ ...this.options, sessions: this.#sessions, now: this.now() })) this.#close(pooled)
    for (const { owner, since, span } of this.leases.takeLeaks(this.now())) {
      const report = Effect.suspend(() => onLeak({ server, owner, heldFor: this.now() - since, span }))
      // In a fiber of its own, so that a report that fails or never ends does not stop the pool.
      this.#start(Effect.catchCause(report, (cause) => Effect.logError("reporting a leaked lease failed", cause)))
    }
    this.serve()
  }
}
