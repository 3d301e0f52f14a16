/**
 * Opens the sessions of all servers at once. A server that is slow, mute or missing delays no other.
 */
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import type { Session } from "../../Session.ts"
import type { Failure, Member, Registry } from "./registry.ts"

/** How many processes start at the same time, and for how long a start counts at most. */
const startsAtOnce = 4
const startTimeout = "1 second"

/** The outcome of opening one server. */
export type Opened =
  | { readonly _tag: "Usable"; readonly server: string; readonly session: Session }
  | { readonly _tag: "Failed"; readonly server: string; readonly error: Failure }

export interface OpenAllOptions<E> {
  readonly registry: Registry
  readonly owner: string
  /** Whether one failure fails the whole, instead of being retried in the background. */
  readonly isStrict: boolean
  readonly toError: (errors: ReadonlyArray<Failure>) => E
}

/** Opens all servers that are not disabled. The sessions are valid as long as the scope in which the stream runs. */
export const openAll = <E>(options: OpenAllOptions<E>): Stream.Stream<Opened, E, Scope.Scope> =>
  Stream.fromEffect(Effect.scope).pipe(
    Stream.mapEffect((parent) => start(options, parent)),
    Stream.flatMap((outcomes) => Stream.fromQueue(outcomes))
  )

const start = <E>(options: OpenAllOptions<E>, parent: Scope.Scope) =>
  Effect.gen(function*() {
    const { isStrict, owner, registry, toError } = options
    const scope = yield* Scope.fork(parent)
    const outcomes = yield* Queue.unbounded<Opened, E | Cause.Done>()
    const starts = yield* Semaphore.make(startsAtOnce)
    const opening = Effect.forEach(
      registry.enabled,
      (member) =>
        Effect.matchEffect(Scope.provide(openOne(options, member, starts), scope), {
          onSuccess: (session) =>
            Effect.as(Queue.offer(outcomes, { _tag: "Usable", server: member.server, session }), []),
          onFailure: (error) =>
            Effect.as(Queue.offer(outcomes, { _tag: "Failed", server: member.server, error }), [error])
        }),
      { concurrency: "unbounded" }
    )
    const forget = Effect.forEach(
      registry.enabled,
      ({ server }) => Effect.ignore(registry.invalidate(server, owner)),
      { concurrency: "unbounded", discard: true }
    )
    yield* opening.pipe(
      Effect.flatMap((results) => {
        const errors = results.flat()
        if (!isStrict || errors.length === 0) return Queue.end(outcomes)
        return Scope.close(scope, Exit.void).pipe(
          Effect.andThen(forget),
          Effect.andThen(Queue.fail(outcomes, toError(errors)))
        )
      }),
      // A defect ends the stream too: its reader would wait for ever.
      Effect.onError((cause) => Queue.failCause(outcomes, cause)),
      Effect.forkIn(parent, { startImmediately: true })
    )
    return outcomes
  })

const openOne = <E>(
  { isStrict, owner, registry }: OpenAllOptions<E>,
  { definition, server }: Member,
  starts: Semaphore.Semaphore
) =>
  Effect.gen(function*() {
    const core = yield* registry.shared(server, owner)
    const connecting = yield* Effect.forkScoped(core.managed.acquire)
    // Starting a process is what costs. One that is never ready must not keep others from starting.
    const started = Effect.timeoutOption(Fiber.await(connecting), startTimeout)
    yield* definition.config.transport === "stdio" ? starts.withPermits(1)(started) : started
    const exit = yield* Effect.exit(Fiber.join(connecting))
    if (!isStrict) yield* core.managed.keepAlive
    return yield* Effect.as(exit, yield* registry.session(core))
  })
