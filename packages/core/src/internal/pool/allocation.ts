/**
 * Allocation of a pool: decides which waiter gets which session, and which sessions are opened and closed. Pure: state to actions.
 *
 * Waiters are served in the order of their arrival. Each gets the first of these that applies:
 * 1. a usable session of its own identity;
 * 2. a session of its identity that is being opened;
 * 3. a new session, while there are fewer than `max`;
 * 4. the place of a session that is closing, or of the session that has been idle longest, which is closed for it.
 *
 * A waiter that cannot be served yet keeps its claim on a place: later waiters neither open a session in that place nor join the
 * leases of a busy session, so that none starves.
 */
import * as Equal from "effect/Equal"

/** An owner with its credentials. Two are equal (`Equal.equals`) if both are. */
export interface PoolIdentity extends Equal.Equal {
  readonly owner: string
}

/** An open session. Times in milliseconds of monotonic time. */
export interface Allocatable {
  readonly identity: PoolIdentity
  readonly expiresAt: number
  readonly idleSince: number
  readonly leases: number
  /** A retired session takes no further lease, and closes when the last one has ended. */
  readonly isRetired: boolean
}

export interface AllocationState<S extends Allocatable, W extends { readonly identity: PoolIdentity }> {
  readonly sessions: ReadonlySet<S>
  /** In the order of their arrival. */
  readonly waiters: Iterable<W>
  /** The identities whose sessions are being opened. */
  readonly opening: ReadonlyArray<PoolIdentity>
  /** Sessions that are being closed. Each occupies its place until it is closed. */
  readonly closing: number
  /** Sessions at a time, including those that are being opened or closed. */
  readonly max: number
  /** Leases of one session at a time. */
  readonly concurrency: number
  readonly now: number
}

/** A step for the interpreter. A waiter without an action waits. */
export type Action<S, W> =
  | { readonly _tag: "Lease"; readonly session: S; readonly waiter: W }
  | { readonly _tag: "Open"; readonly identity: PoolIdentity }
  | { readonly _tag: "Close"; readonly session: S }

/** The sessions as they will be after the actions that have been decided. */
class Projection<S extends Allocatable> {
  readonly #state: AllocationState<S, never>
  readonly #leased = new Map<S, number>()
  readonly #closed = new Set<S>()

  constructor(state: AllocationState<S, never>) {
    this.#state = state
  }

  leasesOf(session: S): number {
    return session.leases + (this.#leased.get(session) ?? 0)
  }

  lease(session: S): void {
    this.#leased.set(session, (this.#leased.get(session) ?? 0) + 1)
  }

  close(session: S): void {
    this.#closed.add(session)
  }

  /** The usable session with the most leases, then the one that was used last, so that the others can become idle and close. */
  best(identity: PoolIdentity): S | undefined {
    let found: S | undefined
    for (const session of this.#state.sessions) {
      if (!this.#isUsable(session, identity)) continue
      const isBetter = found === undefined || this.leasesOf(session) > this.leasesOf(found) ||
        (this.leasesOf(session) === this.leasesOf(found) && session.idleSince > found.idleSince)
      if (isBetter) found = session
    }
    return found
  }

  /** The session without a lease that has been idle longest. */
  longestIdle(): S | undefined {
    let found: S | undefined
    for (const session of this.#state.sessions) {
      if (this.#closed.has(session) || this.leasesOf(session) > 0) continue
      if (found === undefined || session.idleSince < found.idleSince) found = session
    }
    return found
  }

  #isUsable(session: S, identity: PoolIdentity): boolean {
    const { concurrency, now } = this.#state
    return !session.isRetired && !this.#closed.has(session) && this.leasesOf(session) < concurrency &&
      session.expiresAt > now && Equal.equals(session.identity, identity)
  }
}

/** Decides what a pool does next. */
export const allocate = <S extends Allocatable, W extends { readonly identity: PoolIdentity }>(
  state: AllocationState<S, W>
): ReadonlyArray<Action<S, W>> => {
  const { max, opening, sessions, waiters } = state
  const actions: Array<Action<S, W>> = []
  const projection = new Projection<S>({ ...state, waiters: [] })
  const coming = [...opening]
  let size = sessions.size + opening.length + state.closing
  /** Places that become free without a further action. */
  let freeing = state.closing
  /** Whether an earlier waiter waits for a place. */
  let isClaimed = false
  for (const waiter of waiters) {
    const { identity } = waiter
    const usable = projection.best(identity)
    // Nobody joins the leases of a busy session whose place an earlier waiter may need. An idle one is left over by then.
    if (usable !== undefined && (!isClaimed || projection.leasesOf(usable) === 0)) {
      projection.lease(usable)
      actions.push({ _tag: "Lease", session: usable, waiter })
      continue
    }
    const index = coming.findIndex((other) => Equal.equals(other, identity))
    if (index >= 0) {
      coming.splice(index, 1)
    } else if (size < max) {
      size++
      actions.push({ _tag: "Open", identity })
    } else {
      isClaimed = true
      if (freeing-- > 0) continue
      const idle = projection.longestIdle()
      // No session is idle and all places are taken: nothing can be done for later waiters either.
      if (idle === undefined) break
      projection.close(idle)
      actions.push({ _tag: "Close", session: idle })
    }
  }
  return actions
}
