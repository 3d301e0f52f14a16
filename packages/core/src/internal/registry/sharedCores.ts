/**
 * Shared session cores by key: made on first use, kept while a caller holds a lease, closed after an idle time.
 *
 * In place of `RcMap`, because each call takes a lease: here that is a counter and needs no scope. Also, a failed lookup is not remembered,
 * lookups run in the context of the layer, and cores close in parallel.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import type { SessionCore } from "../session/sessionCore.ts"
import type { Timer, Timers } from "../timers.ts"

export interface SharedCoresOptions<E> {
  readonly timers: Timers
  /** The scope of all cores. Closes its children in parallel. */
  readonly parent: Scope.Scope
  /** Runs an effect in the background, in the context of the layer. */
  readonly fork: (effect: Effect.Effect<unknown>) => void
  readonly onClose: (key: string) => void
  readonly open: (key: string, scope: Scope.Scope) => Effect.Effect<SessionCore, E>
  /** How long an unused core is kept, in milliseconds. */
  readonly idleTimeToLive: (key: string) => number
}

/** A core and its leases. */
class Entry<E> implements Timer {
  readonly key: string
  readonly scope: Scope.Closeable
  readonly opened = Deferred.makeUnsafe<SessionCore, E>()
  readonly idleTimeToLive: number
  core: SessionCore | undefined
  leases = 0
  idleSince = 0
  timerIndex = -1
  dueAt = 0
  readonly #onDue: (entry: Entry<E>) => void

  constructor(key: string, scope: Scope.Closeable, idleTimeToLive: number, onDue: (entry: Entry<E>) => void) {
    this.key = key
    this.scope = scope
    this.idleTimeToLive = idleTimeToLive
    this.#onDue = onDue
  }

  fire(): void {
    this.#onDue(this)
  }
}

/** What a lease counts on. */
interface Counted {
  leases: number
}

/** A lease of `tryLease`, for a call without a scope. */
export class Lease {
  readonly core: SessionCore
  readonly #end: (entry: Counted) => void
  #entry: Counted | undefined

  constructor(core: SessionCore, entry: Counted, end: (entry: Counted) => void) {
    this.core = core
    this.#entry = entry
    this.#end = end
  }

  /** Ends the lease. Does nothing the second time. */
  end(): void {
    const entry = this.#entry
    if (entry === undefined) return
    this.#entry = undefined
    this.#end(entry)
  }
}

export class SharedCores<E> {
  readonly #options: SharedCoresOptions<E>
  readonly #entries = new Map<string, Entry<E>>()

  constructor(options: SharedCoresOptions<E>) {
    this.#options = options
  }

  /** Leases a core for as long as the scope; makes it if there is none. */
  acquire(key: string): Effect.Effect<SessionCore, E, Scope.Scope> {
    return Effect.uninterruptibleMask((restore) =>
      Effect.gen({ self: this }, function*() {
        const entry = this.#entries.get(key) ?? this.#create(key)
        entry.leases++
        yield* Effect.addFinalizer(() => this.#release(entry))
        return entry.core ?? (yield* restore(Deferred.await(entry.opened)))
      })
    )
  }

  /** Leases a core that is open, without an effect. */
  tryLease(key: string): Lease | undefined {
    const entry = this.#entries.get(key)
    if (entry?.core === undefined) return undefined
    entry.leases++
    return new Lease(entry.core, entry, this.#endLease)
  }

  /** Lets the next caller have a new core. The current one closes with its last lease. */
  invalidate(key: string): Effect.Effect<void> {
    return Effect.suspend(() => {
      const entry = this.#entries.get(key)
      if (entry === undefined) return Effect.void
      this.#entries.delete(key)
      return entry.leases === 0 ? this.#close(entry) : Effect.void
    })
  }

  #create(key: string): Entry<E> {
    const { fork, idleTimeToLive, open, parent } = this.#options
    const scope = Scope.forkUnsafe(parent)
    const entry = new Entry<E>(key, scope, idleTimeToLive(key), (entry) => this.#onDue(entry))
    this.#entries.set(key, entry)
    fork(
      Effect.exit(open(key, scope)).pipe(
        Effect.flatMap((exit) => {
          if (Exit.isSuccess(exit)) {
            entry.core = exit.value
            exit.value.isHeld = () => entry.leases > 0
            Deferred.doneUnsafe(entry.opened, exit)
            return Effect.void
          }
          this.#forget(entry)
          Deferred.doneUnsafe(entry.opened, exit)
          return this.#close(entry)
        })
      )
    )
    return entry
  }

  readonly #endLease = (entry: Counted): void => {
    const closed = this.#released(entry as Entry<E>)
    if (closed !== undefined) this.#options.fork(closed)
  }

  #release(entry: Entry<E>): Effect.Effect<void> {
    return Effect.suspend(() => this.#released(entry) ?? Effect.void)
  }

  /** Counts a lease as ended. Returns the effect that closes the core, if it is not kept. */
  #released(entry: Entry<E>): Effect.Effect<void> | undefined {
    if (--entry.leases > 0) return undefined
    if (this.#entries.get(entry.key) !== entry || entry.idleTimeToLive === 0) return this.#close(entry)
    this.#becomeIdle(entry)
    return undefined
  }

  /** The timer stays set between leases, and looks at the idle time when it is due: a call does not touch it. */
  #becomeIdle(entry: Entry<E>): void {
    const { timers } = this.#options
    entry.idleSince = timers.now()
    if (entry.timerIndex >= 0) return
    entry.dueAt = entry.idleSince + entry.idleTimeToLive
    timers.set(entry)
  }

  #onDue(entry: Entry<E>): void {
    const { fork, timers } = this.#options
    if (entry.leases > 0 || this.#entries.get(entry.key) !== entry) return
    const dueAt = entry.idleSince + entry.idleTimeToLive
    if (dueAt > timers.now()) {
      entry.dueAt = dueAt
      return timers.set(entry)
    }
    fork(this.#close(entry))
  }

  #forget(entry: Entry<E>): void {
    if (this.#entries.get(entry.key) === entry) this.#entries.delete(entry.key)
  }

  #close(entry: Entry<E>): Effect.Effect<void> {
    return Effect.uninterruptible(Effect.suspend(() => {
      this.#forget(entry)
      this.#options.timers.clear(entry)
      if (!this.#entries.has(entry.key)) this.#options.onClose(entry.key)
      return Scope.close(entry.scope, Exit.void)
    }))
  }
}
