/**
 * Outlier detection: ejects a failing server and readmits it after consecutive successful probes.
 *
 * {@link transition} is the pure state machine. {@link make} runs the fiber that probes an ejected server.
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type { FallbackPolicy } from "../../FallbackPolicy.ts"
import { maxErrors } from "../../Health.ts"
import type { RetryPolicy } from "../../RetryPolicy.ts"
import type { SessionError } from "../../SessionError.ts"
import { afterFailure } from "../connection/reconnect.ts"
import * as monotonic from "../monotonic.ts"

// -----------------------------------------------------------------------------
// Decisions
// -----------------------------------------------------------------------------

/** Failures count for this long, in milliseconds, when they are not in a row. */
const failureWindow = 60_000

/** A server that is ejected again within this time after its readmission has relapsed. In milliseconds. */
const relapseWindow = 300_000

/** Each relapse in a row doubles the probes that readmit a server, up to this many times. */
const maxRelapses = 4

/** What outlier detection knows about one server. Times are monotonic. */
export interface OutlierState {
  readonly isEjected: boolean
  /** The failures within the failure window, oldest first. */
  readonly failedAt: ReadonlyArray<number>
  readonly readmittedAt: number
  /** Ejections in a row that each came soon after a readmission. */
  readonly relapses: number
}

export type OutlierEvent = "failed" | "ejected" | "readmitted"

/** State of a server without failures. */
export const initial: OutlierState = {
  isEjected: false,
  failedAt: [],
  readmittedAt: Number.NEGATIVE_INFINITY,
  relapses: 0
}

/** State after an event. */
export const transition = (options: {
  readonly state: OutlierState
  readonly event: OutlierEvent
  readonly now: number
}): OutlierState => {
  const { event, now, state } = options
  switch (event) {
    case "failed":
      return { ...state, failedAt: [...state.failedAt.filter((at) => now - at < failureWindow), now] }
    case "ejected": {
      if (state.isEjected) return state
      const isRelapse = now - state.readmittedAt < relapseWindow
      return { ...state, isEjected: true, relapses: isRelapse ? Math.min(state.relapses + 1, maxRelapses) : 0 }
    }
    case "readmitted":
      return { ...state, isEjected: false, failedAt: [], readmittedAt: now }
  }
}

/** Whether a server has failed so often within the window that it is to be ejected. */
export const isOutlier = ({ failedAt }: OutlierState): boolean => failedAt.length > maxErrors

/** Consecutive successful probes that readmit a server. */
export const probesToReadmit = (options: { readonly state: OutlierState; readonly goodProbes: number }): number =>
  options.goodProbes * 2 ** options.state.relapses

/**
 * Whether a failure proves something about the server. A rejected credential, a full queue or a rate limit concerns one owner or one
 * session.
 */
const concernsServer = ({ reason }: SessionError): boolean => reason.health === "failed" || reason._tag === "ServerDown"

// -----------------------------------------------------------------------------
// One server
// -----------------------------------------------------------------------------

/** How long the probe of a server may take after a caller has given up waiting for it, in milliseconds. */
export const suspicionProbeTimeout = 2000

/** A failure that an operation failed over from, and the owner of the operation. */
interface OwnedFailure {
  readonly error: SessionError
  readonly owner: string
}

/** Detects that one server is an outlier. */
export interface OutlierDetector {
  readonly isEjected: () => boolean
  /** The latest failure that an operation failed over from. */
  readonly lastFailure: () => OwnedFailure | undefined
  /** Records a failure that an operation failed over from, and returns whether the server is to be ejected. */
  readonly recordFailure: (failure: OwnedFailure & { readonly now: number }) => boolean
  /** Ejects the server, and probes it in the background until it is readmitted. */
  readonly eject: (probe: Effect.Effect<void, SessionError>) => Effect.Effect<void>
  /** Readmits the server at once. */
  readonly readmit: Effect.Effect<void>
  /**
   * Checks a server in the background after a caller has given up waiting for it. A failed check counts as a failure. It closes no
   * connection, because the server may be busy.
   */
  readonly suspect: (options: {
    readonly check: Effect.Effect<void, SessionError>
    /** The failure when the check gets no answer in time. */
    readonly timedOut: SessionError
    readonly probe: Effect.Effect<void, SessionError>
    readonly owner: string
  }) => Effect.Effect<void>
}

/** Makes the detector of one server. Its fibers end with the scope. */
export const make = (options: {
  readonly policy: FallbackPolicy
  readonly reconnect: RetryPolicy
  readonly scope: Scope.Scope
  readonly context: Context.Context<never>
  /** Called when the server was ejected or readmitted. */
  readonly onChange: (isEjected: boolean) => void
}): OutlierDetector => {
  const { context, onChange, policy, reconnect, scope } = options
  let state = initial
  let prober: Fiber.Fiber<void> | undefined
  let isSuspected = false
  let last: OwnedFailure | undefined

  const apply = (event: OutlierEvent, now: number): void => {
    state = transition({ state, event, now })
  }

  const readmitted = Effect.map(monotonic.now, (now) => {
    prober = undefined
    apply("readmitted", now)
    onChange(false)
  })

  /** Runs in the background, in the context of the registry and not in that of the caller that found the failure. */
  const background = <A>(effect: Effect.Effect<A>) =>
    effect.pipe(Effect.updateContext((_: Context.Context<never>) => context), Effect.forkIn(scope))

  const detector: OutlierDetector = {
    isEjected: () => state.isEjected,
    lastFailure: () => last,
    recordFailure: ({ error, now, owner }) => {
      last = { error, owner }
      if (!concernsServer(error)) return false
      apply("failed", now)
      return isOutlier(state)
    },
    eject: (probe) =>
      Effect.flatMap(monotonic.now, (now) => {
        if (state.isEjected) return Effect.void
        apply("ejected", now)
        onChange(true)
        const wanted = probesToReadmit({ state, goodProbes: policy.goodProbes })
        return Effect.map(
          background(Effect.andThen(probeUntilGood({ probe, wanted, policy, reconnect }), readmitted)),
          (fiber) => {
            prober = fiber
          }
        )
      }).pipe(Effect.uninterruptible),
    readmit: Effect.suspend(() => {
      const ended = prober
      return ended === undefined ? Effect.void : Effect.andThen(readmitted, Fiber.interrupt(ended))
    }),
    suspect: ({ check, owner, probe, timedOut }) =>
      Effect.suspend(() => {
        if (isSuspected || state.isEjected) return Effect.void
        isSuspected = true
        return Effect.asVoid(background(Effect.gen(function*() {
          const exit = yield* Effect.exit(
            Effect.timeoutOrElse(check, { duration: suspicionProbeTimeout, orElse: () => Effect.fail(timedOut) })
          )
          isSuspected = false
          const error = Option.getOrUndefined(Exit.findErrorOption(exit))
          const now = yield* monotonic.now
          if (error !== undefined && detector.recordFailure({ error, owner, now })) yield* detector.eject(probe)
        })))
      })
  }
  return detector
}

/** Probes until `wanted` probes in a row have succeeded. */
const probeUntilGood = Effect.fnUntraced(function*(options: {
  readonly probe: Effect.Effect<void, SessionError>
  readonly wanted: number
  readonly policy: FallbackPolicy
  readonly reconnect: RetryPolicy
}) {
  const { policy, probe, reconnect, wanted } = options
  for (let good = 0; good < wanted;) {
    yield* Effect.sleep(policy.probeInterval)
    const probed = yield* Effect.exit(probe)
    if (Exit.isSuccess(probed)) {
      good++
      continue
    }
    const again = afterFailure({ first: Option.getOrUndefined(Exit.findErrorOption(probed)), effect: probe })
    // Neither a policy that gives up nor a defect ends the probing.
    good = Exit.isSuccess(yield* Effect.exit(Effect.retry(again, reconnect))) ? 1 : 0
  }
})
