/**
 * What a pool does: who gets which session, when one is opened and when one is closed.
 *
 * All decisions are made in {@link serve}, which runs whenever something has changed and takes no effect itself: it goes through
 * those who wait, in their order, and finds each of them a session, or sees to it that there will be one. Sessions are opened in the
 * background and for nobody in particular, so that a borrower who leaves wastes nothing, and one who waits less long than a start
 * takes is followed by one who finds it ready.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Span } from "effect/Tracer"
import type { ConfigError } from "../../ConfigError.ts"
import { reconnectDefault } from "../../RetryPolicy.ts"
import type { Session } from "../../Session.ts"
import { CredentialsFailed, forOthers, SessionClosed, SessionError } from "../../SessionError.ts"
import type { AcquireTimeout, SessionPoolStats } from "../../SessionPool.ts"
import type { Identity, Sessions } from "../../Sessions.ts"
import { ClientSession } from "../session/clientSession.ts"
import type { PoolOptions } from "./poolOptions.ts"

type Failure = SessionError | ConfigError

/** A session of the pool. */
interface Entry {
  readonly identity: Identity
  readonly session: Session
  readonly scope: Scope.Closeable
  /** The connection that it was found to be on when it was lent. */
  readonly generation: number
  readonly openedAt: number
  readonly expiresAt: number
  leases: number
  idleSince: number
  /** Whether it closes as soon as nobody has it. */
  isRetired: boolean
}

/** A borrower who waits. */
interface Waiter {
  identity: Identity
  /** What it got. */
  entry: Entry | undefined
  readonly resume: (found: Effect.Effect<void, Failure>) => void
}

/** A loan, in the order in which they were made. */
interface Lease {
  readonly owner: string
  readonly since: number
  readonly span: Span | undefined
}

/** The share of its lifetime that a session may fall short of it. */
const lifetimeSpread = 0.025

/** How long a session has to be there, in milliseconds, for its loss to be no reason to wait with the next one. */
const lasting = 60_000

/** How long a session may take for its sign of life. */
const patience = Duration.seconds(2)

const closed = (server: string) => new SessionError({ server, reason: new SessionClosed() })

export interface Pool {
  readonly borrow: (owner: string) => Effect.Effect<Session, Failure | AcquireTimeout, Scope.Scope>
  readonly stats: Effect.Effect<SessionPoolStats>
  readonly drain: Effect.Effect<void>
}

/** Makes a pool that ends with the scope. */
export const make = Effect.fnUntraced(function*(
  options: PoolOptions & {
    readonly sessions: Sessions["Service"]
    readonly timedOut: (fields: ConstructorParameters<typeof AcquireTimeout>[0]) => AcquireTimeout
  }
): Effect.fn.Return<Pool, never, Scope.Scope> {
  const { acquireMillis, concurrency, idleMillis, leakMillis, lifeMillis, max, min, onLeak, server, sessions } = options
  const clock = yield* Clock.Clock
  const context = yield* Effect.context<never>()
  const fork = Effect.runForkWith(context)
  const work = yield* Scope.make("parallel")
  const all = yield* Scope.make("parallel")
  const entries = new Set<Entry>()
  const waiters = new Set<Waiter>()
  const leases = new Set<Lease>()
  /** Sessions that are being opened, as whom. */
  const opening: Array<Identity> = []
  let closing = 0
  let last: { readonly error: SessionError; readonly owner: string } | undefined
  let isClosed = false

  const now = () => clock.currentTimeMillisUnsafe()

  /** In the background, for as long as the pool is there. */
  const start = (effect: Effect.Effect<void>): Fiber.Fiber<void> => Fiber.runIn(fork(effect), work)

  const size = () => entries.size + opening.length + closing

  /** The sessions of the owner of the pool. */
  const own = (): number => {
    let count = 0
    for (const { identity } of entries) if (identity.owner === options.owner) count++
    return count
  }

  // ---------------------------------------------------------------------------
  // Opening and closing
  // ---------------------------------------------------------------------------

  const opened = Effect.fnUntraced(function*(identity: Identity) {
    const scope = Scope.forkUnsafe(all)
    return yield* Effect.gen(function*() {
      const session = yield* sessions.get(server, { owner: identity.owner, shared: false })
      const actual = ClientSession.identityOf(session) ?? identity
      const age = Math.round(lifeMillis * (1 - lifetimeSpread * (yield* Random.next)))
      const entry: Entry = {
        identity: actual,
        session,
        scope,
        generation: yield* session.generation,
        openedAt: now(),
        expiresAt: lifeMillis === 0 ? Number.POSITIVE_INFINITY : now() + age,
        leases: 0,
        idleSince: now(),
        isRetired: false
      }
      return entry
    }).pipe(Scope.provide(scope), Effect.onError(() => Scope.close(scope, Exit.void)))
  })

  const open = (identity: Identity): void => {
    opening.push(identity)
    start(Effect.map(Effect.exit(opened(identity)), (exit) => {
      opening.splice(opening.indexOf(identity), 1)
      if (Exit.isSuccess(exit)) add(exit.value, identity)
      else refuse(identity, exit.cause)
      serve()
      arm()
    }))
  }

  const add = (entry: Entry, wanted: Identity): void => {
    entries.add(entry)
    if (!Equal.equals(entry.identity, wanted)) {
      // The credentials have changed since they were asked for. Whoever waits with the old ones wants the new ones.
      for (const waiter of waiters) if (Equal.equals(waiter.identity, wanted)) waiter.identity = entry.identity
    }
    // What a session had with its server ends with its connection, also when nobody has it.
    const watched = Stream.runForEach(entry.session.phases, ({ _tag }) =>
      Effect.sync(() => {
        if (_tag === "Ready" || _tag === "Suspect" || entry.leases > 0 || entry.isRetired) return
        lost(entry)
        retire(entry)
        serve()
      }))
    Fiber.runIn(fork(watched), entry.scope)
  }

  /** It was opened for whoever came first of those who could use it. */
  const refuse = (identity: Identity, cause: Cause.Cause<Failure>): void => {
    const error = Option.getOrUndefined(Cause.findErrorOption(cause))
    if (error?._tag === "SessionError") last = { error, owner: identity.owner }
    const first = [...waiters].find((waiter) => Equal.equals(waiter.identity, identity))
    if (first === undefined) return
    waiters.delete(first)
    first.resume(Effect.failCause(cause))
  }

  const close = (entry: Entry): void => {
    // What is left when the pool ends closes with it.
    if (isClosed || !entries.delete(entry)) return
    closing++
    start(
      // Whatever does not close well is reported by the session.
      Effect.andThen(
        Effect.uninterruptible(Effect.exit(Scope.close(entry.scope, Exit.void))),
        Effect.sync(() => {
          closing--
          serve()
        })
      )
    )
  }

  /** Lends it no more. */
  const retire = (entry: Entry): void => {
    entry.isRetired = true
    if (entry.leases === 0) close(entry)
  }

  // ---------------------------------------------------------------------------
  // Lending
  // ---------------------------------------------------------------------------

  const isUsable = (entry: Entry, identity: Identity) =>
    !entry.isRetired && entry.leases < concurrency && entry.expiresAt > now() && Equal.equals(entry.identity, identity)

  /** The fullest, then the one that was used last: the others may get idle. */
  const best = (identity: Identity): Entry | undefined => {
    let found: Entry | undefined
    for (const entry of entries) {
      if (!isUsable(entry, identity)) continue
      const isBetter = found === undefined || entry.leases > found.leases ||
        (entry.leases === found.leases && entry.idleSince > found.idleSince)
      if (isBetter) found = entry
    }
    return found
  }

  /** The one that nobody has had for longest. */
  const idlest = (): Entry | undefined => {
    let found: Entry | undefined
    for (const entry of entries) {
      if (entry.leases === 0 && (found === undefined || entry.idleSince < found.idleSince)) found = entry
    }
    return found
  }

  let isServing = false
  let isDue = false

  /** What it leads to may call for it once more, before it has come to its end. */
  const serve = (): void => {
    isDue = true
    if (isServing) return
    isServing = true
    do {
      isDue = false
      if (!isClosed) serveOnce()
    } while (isDue)
    isServing = false
  }

  const serveOnce = (): void => {
    const coming = [...opening]
    let leaving = closing
    // Places that are to become free are theirs who came first.
    let promised = 0
    for (const waiter of waiters) {
      // Something has come of it already, which is theirs who came first.
      if (isDue) return
      const { identity } = waiter
      // Nobody joins those who use a session while somebody waits for its place.
      const own = promised <= closing ? best(identity) : undefined
      // An idle one is of no use to those for whom others are closing.
      const entry = promised === 0 || own?.leases === 0 ? own : undefined
      if (entry !== undefined) {
        entry.leases++
        waiter.entry = entry
        waiters.delete(waiter)
        waiter.resume(Effect.void)
        continue
      }
      const index = coming.findIndex((other) => Equal.equals(other, identity))
      if (index >= 0) {
        coming.splice(index, 1)
      } else if (size() + promised < max) {
        open(identity)
      } else {
        promised++
        const idle = leaving-- > 0 ? undefined : idlest()
        if (idle !== undefined) close(idle)
      }
    }
    if (isShort()) refill()
  }

  const wait = (waiter: { entry: Entry | undefined }, identity: Identity): Effect.Effect<void, Failure> =>
    Effect.callback((resume) => {
      if (isClosed) return resume(Effect.fail(closed(server)))
      const waiting: Waiter = Object.assign(waiter, { identity, resume })
      waiters.add(waiting)
      serve()
      return Effect.sync(() => waiters.delete(waiting))
    })

  const stats = (): SessionPoolStats => {
    let active = 0
    for (const entry of entries) if (entry.leases > 0) active++
    return { total: size(), active, idle: entries.size - active, waiting: waiters.size, max }
  }

  const timedOut = (owner: string) =>
    Effect.flatMap(sessions.health(server), (health) => {
      const { max: _, ...filled } = stats()
      const known = last?.error ?? health.lastError
      // What the process of another owner has written is none of this one's business.
      const reason = known === undefined || last?.owner === owner ? known?.reason : forOthers(known.reason)
      const latest = reason === undefined ? undefined : new SessionError({ server, reason })
      return Effect.fail(
        options.timedOut({
          server,
          owner,
          timeout: acquireMillis,
          ...filled,
          ...(latest === undefined ? {} : { lastError: latest })
        })
      )
    }).pipe(Effect.catchTag("ConfigError", Effect.die))

  /** Whether the session is on the connection that it was opened with. */
  const isIntact = ({ generation, session }: Entry) =>
    Effect.map(
      Effect.all([session.phase, session.generation]),
      ([phase, latest]) => latest === generation && (phase._tag === "Ready" || phase._tag === "Suspect")
    )

  /** Gives back a session that was used, or one that was not. */
  const giveBack = (entry: Entry, wasUsed: boolean): Effect.Effect<void> =>
    Effect.flatMap(isIntact(entry), (intact) =>
      Effect.sync(() => {
        entry.leases--
        if (wasUsed) entry.idleSince = now()
        // A call that goes on after the loan would meddle with the next one.
        if (!intact) lost(entry)
        const isIdle = entry.leases > 0 || concurrency > 1 || ClientSession.inFlightOf(entry.session) === 0
        if (!intact || !isIdle || entry.isRetired || entry.expiresAt <= now()) retire(entry)
        serve()
        arm()
      }))

  /** Whether it can be used. After some time that is not to be taken for granted. */
  const isWell = (entry: Entry) =>
    Effect.flatMap(Effect.all([isIntact(entry), entry.session.phase]), ([intact, phase]) => {
      // One that owes a sign of life has just left a call without an answer.
      const isFresh = phase._tag === "Ready" &&
        (entry.leases > 1 || now() - entry.idleSince <= options.validateMillis)
      if (!intact || isFresh) return Effect.succeed(intact)
      return Effect.timeoutOption(Effect.exit(ClientSession.probe(entry.session)), patience).pipe(
        // To give one it may have come to be on another connection.
        Effect.flatMap((exit) =>
          Option.isSome(exit) && Exit.isSuccess(exit.value) ? isIntact(entry) : Effect.succeed(false)
        )
      )
    })

  /** A session that was lent to nobody else meanwhile and is well, until `latest`. */
  const take = (
    identity: Identity,
    latest: number,
    restore: <A, E>(effect: Effect.Effect<A, E>) => Effect.Effect<A, E>
  ): Effect.Effect<Entry, Failure | AcquireTimeout> =>
    Effect.suspend(() => {
      const waiter: { entry: Entry | undefined } = { entry: undefined }
      const found = Effect.flatMap(wait(waiter, identity), () =>
        waiter.entry === undefined ? Effect.never : isWell(waiter.entry))
      return restore(
        Effect.timeoutOrElse(found, {
          duration: Math.max(0, latest - now()),
          orElse: () =>
            timedOut(identity.owner)
        })
      ).pipe(
        Effect.onExit((exit) => {
          // Whoever got one and left has to give it back.
          if (waiter.entry === undefined || Exit.isSuccess(exit)) return Effect.void
          // Nothing was heard of it for as long as the borrower could wait.
          if (!Exit.hasInterrupts(exit)) waiter.entry.isRetired = true
          return giveBack(waiter.entry, false)
        }),
        Effect.flatMap((well) => {
          const { entry } = waiter
          if (entry === undefined) return Effect.die("a borrower went on without a session")
          if (well) return Effect.succeed(entry)
          entry.isRetired = true
          return Effect.andThen(giveBack(entry, false), take(identity, latest, restore))
        })
      )
    })

  const identityOf = (owner: string) =>
    Effect.tap(sessions.identity(server, { owner }), (identity) =>
      Effect.sync(() => {
        for (const entry of entries) {
          if (entry.identity.owner === owner && !Equal.equals(entry.identity, identity)) retire(entry)
        }
      }))

  const borrow = (owner: string) =>
    Effect.uninterruptibleMask((restore) =>
      Effect.gen(function*() {
        const latest = now() + acquireMillis
        const identity = yield* restore(
          Effect.timeoutOrElse(identityOf(owner), { duration: acquireMillis, orElse: () => timedOut(owner) })
        )
        const entry = yield* take(identity, latest, restore)
        const ended = Deferred.makeUnsafe<void>()
        const lease: Lease = {
          owner,
          since: now(),
          span: Option.getOrUndefined(yield* Effect.option(Effect.currentSpan))
        }
        leases.add(lease)
        arm()
        yield* Effect.addFinalizer(() => {
          leases.delete(lease)
          return Effect.andThen(Deferred.succeed(ended, undefined), giveBack(entry, true))
        })
        return ClientSession.fork({ session: entry.session, ended })
      })
    )

  // ---------------------------------------------------------------------------
  // Time
  // ---------------------------------------------------------------------------

  let isRefilling = false
  /** How many sessions in a row have not lasted, of those that are to be kept. */
  let shortLived = 0

  /** Notes that a session was lost, and how long it had been there. */
  const lost = ({ openedAt }: Entry): void => {
    shortLived = now() - openedAt < lasting ? shortLived + 1 : 0
  }

  /** A server that takes connections only to end them is not to be asked for them all the time. */
  const pause = () => shortLived === 0 ? 0 : Math.min(1000 * 1.6 ** (shortLived - 1), 120_000)

  const isShort = (): boolean =>
    !isRefilling && size() < max && own() + opening.filter(({ owner }) => owner === options.owner).length < min

  /** One more session of the owner of the pool, however long that takes and whatever keeps it from that. */
  const refill = (): void => {
    isRefilling = true
    const failed = (cause: Cause.Cause<Failure>) => {
      const error = Option.getOrUndefined(Cause.findErrorOption(cause))
      const described = error?._tag === "SessionError"
        ? error
        : new SessionError({ server, reason: new CredentialsFailed({ owner: options.owner, cause: error }) })
      last = { error: described, owner: options.owner }
      return Effect.fail(described)
    }
    const one = Effect.flatMap(sessions.identity(server, { owner: options.owner }), (identity) => {
      // Others may have taken the place meanwhile.
      if (size() >= max) return Effect.void
      opening.push(identity)
      return Effect.map(
        Effect.ensuring(opened(identity), Effect.sync(() => opening.splice(opening.indexOf(identity), 1))),
        (entry) => add(entry, identity)
      )
    })
    start(
      one.pipe(
        // Being interrupted from elsewhere is a failure like others.
        Effect.catchCause((cause) => isClosed ? Effect.interrupt : failed(cause)),
        Effect.retry(reconnectDefault),
        Effect.delay(pause()),
        Effect.exit,
        Effect.map(() => {
          isRefilling = false
          serve()
          arm()
        })
      )
    )
  }

  let wakesAt = Number.POSITIVE_INFINITY
  let sleeper: Fiber.Fiber<void> | undefined

  /** When there is something to do next for time alone. */
  const nextDue = (): number => {
    let due = Number.POSITIVE_INFINITY
    const isSpare = own() > min
    for (const entry of entries) {
      if (entry.leases > 0) continue
      due = Math.min(due, entry.expiresAt)
      if (isSpare || entry.identity.owner !== options.owner) due = Math.min(due, entry.idleSince + idleMillis)
    }
    // The first that was not reported is the oldest of these.
    const [oldest] = leases
    return leakMillis === 0 || oldest === undefined ? due : Math.min(due, oldest.since + leakMillis)
  }

  const sweep = Effect.sync(() => {
    for (const entry of entries) {
      if (entry.leases > 0) continue
      const isSpare = own() > min || entry.identity.owner !== options.owner
      if ((isSpare && entry.idleSince + idleMillis <= now()) || entry.expiresAt <= now()) close(entry)
    }
    for (const lease of leakMillis === 0 ? [] : leases) {
      if (lease.since + leakMillis > now()) break
      leases.delete(lease)
      const report = onLeak({ server, owner: lease.owner, heldFor: now() - lease.since, span: lease.span })
      // By itself: the pool goes on, whatever becomes of it.
      start(Effect.catchCause(report, (cause) => Effect.logError("the report of a leak failed", cause)))
    }
    serve()
  })

  const sleep: Effect.Effect<void> = Effect.suspend(() => {
    wakesAt = nextDue()
    if (wakesAt === Number.POSITIVE_INFINITY) return Effect.void
    return clock.sleep(Duration.millis(Math.max(1, wakesAt - now()))).pipe(Effect.andThen(sweep), Effect.andThen(sleep))
  })

  /** Sees to it that the sleeper wakes in time. The usual reason to wake is later than all before it, and found when it does. */
  const arm = (): void => {
    if (isClosed || nextDue() >= wakesAt) return
    sleeper?.interruptUnsafe()
    sleeper = Fiber.runIn(fork(sleep), work)
  }

  yield* Effect.addFinalizer((exit) =>
    Effect.suspend(() => {
      isClosed = true
      for (const waiter of waiters) waiter.resume(Effect.fail(closed(server)))
      waiters.clear()
      return Effect.all([Scope.close(work, exit), Scope.close(all, exit)], { concurrency: "unbounded", discard: true })
    })
  )
  serve()

  return {
    borrow,
    stats: Effect.sync(stats),
    drain: Effect.sync(() => {
      for (const entry of entries) retire(entry)
      serve()
    })
  }
})
