/**
 * Runs effects as promises over one layer: builds it on first use, cancels what a signal aborts, and ends everything at once.
 */
import * as Cause from "effect/Cause"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { Cancelled, SessionClosed, SessionError } from "../../SessionError.ts"
import { Bag, type InBag } from "../bag.ts"
import type { StartedCall } from "../request/inFlightRecord.ts"
import { CurrentWrites, Writes } from "../request/writes.ts"
import type { Signal, SignalOptions } from "./promised.ts"

/** For whom an operation runs: the server that its errors name, and the record of the operation that it is part of. */
export interface Caller {
  readonly server: string
  readonly writes?: Writes | undefined
}

/**
 * A resource with an end. `close` and disposal do the same; closing twice is harmless.
 *
 * @category models
 * @since 0.1.0
 */
export interface Closeable extends AsyncDisposable {
  readonly close: () => Promise<void>
}

/** Starts a call without a fiber, or returns `undefined`. */
type DirectStart<A, R> = (
  context: Context.Context<R>,
  onEnd: (outcome: Effect.Effect<A, SessionError>) => void
) => StartedCall | undefined

export interface PromiseRuntime<R, E> {
  /** Runs an effect. All operations pass through here. */
  readonly run: <A>(
    effect: Effect.Effect<A, E | SessionError, R>,
    caller: Caller,
    options?: SignalOptions
  ) => Promise<A>
  /**
   * Runs a call without a fiber, if `start` can start it; runs `effect` otherwise. `start` receives the layer's context, and returns
   * `undefined` if it cannot start the call.
   */
  readonly runDirect: <A>(
    start: DirectStart<A, R>,
    effect: () => Effect.Effect<A, E | SessionError, R>,
    caller: Caller
  ) => Promise<A>
  /** Runs `before`, closes the layer, and ends what is still running. */
  readonly close: (before: Effect.Effect<unknown>) => Promise<void>
}

/** A call without a fiber. */
interface Direct extends InBag {
  cancel: Effect.Effect<void>
  /** Rejects the promise of the call. */
  readonly end: () => void
}

const cancelled = (server: string, signal: Signal, delivery: "NotSent" | "Unknown"): SessionError =>
  new SessionError({ server, reason: new Cancelled({ delivery, cause: signal.reason }) })

/** Makes a runtime. `isTyped` tells the errors that promises may reject with from those that only the end of everything causes. */
export const make = <R, E>({ isTyped, layer }: {
  readonly layer: Layer.Layer<R, E>
  readonly isTyped: (error: unknown) => boolean
}): PromiseRuntime<R, E> => {
  const runtime = ManagedRuntime.make(layer)
  const running = new Bag<InBag & { readonly fiber: Fiber.Fiber<unknown, unknown> }>()
  const direct = new Bag<Direct>()
  let isClosed = false

  const closed = (server: string) => new SessionError({ server, reason: new SessionClosed() })

  const run: PromiseRuntime<R, E>["run"] = (effect, { server, writes: outer }, options) => {
    const signal = options?.signal
    if (isClosed) return Effect.runPromise(Effect.fail(closed(server)))
    if (signal?.aborted === true) return Effect.runPromise(Effect.fail(cancelled(server, signal, "NotSent")))
    const writes = signal === undefined ? outer : new Writes(outer)
    const recorded = writes === undefined ? effect : Effect.provideService(effect, CurrentWrites, writes)
    const errorOf = (cause: Cause.Cause<unknown>): unknown => {
      if (signal?.aborted === true && Cause.hasInterruptsOnly(cause)) {
        return cancelled(server, signal, writes?.isWritten === true ? "Unknown" : "NotSent")
      }
      const error = Cause.squash(cause)
      return isClosed && !isTyped(error) ? closed(server) : error
    }
    const { cachedContext } = runtime
    // @effect-diagnostics-next-line newPromise:off - the promise that Effect makes of a fiber hides the fiber
    return new Promise((resolve, reject) => {
      const fiber = cachedContext === undefined
        ? Effect.runFork(
          Effect.flatMap(runtime.contextEffect, (context) => Effect.provideContext(recorded, context)),
          { signal }
        )
        : Effect.runForkWith(cachedContext)(recorded, { signal })
      const entry = { place: -1, fiber }
      running.add(entry)
      fiber.addObserver((exit) => {
        running.remove(entry)
        if (Exit.isSuccess(exit)) resolve(exit.value)
        else reject(errorOf(exit.cause))
      })
    })
  }

  const runDirect = <A>(
    start: DirectStart<A, R>,
    effect: () => Effect.Effect<A, E | SessionError, R>,
    caller: Caller
  ): Promise<A> => {
    const { cachedContext } = runtime
    if (isClosed || cachedContext === undefined || caller.writes !== undefined) return run(effect(), caller)
    // @effect-diagnostics-next-line newPromise:off - a call without a fiber settles its promise itself
    return new Promise((resolve, reject) => {
      const entry: Direct = { place: -1, cancel: Effect.void, end: () => reject(closed(caller.server)) }
      let isSettled = false
      const started = start(cachedContext, (outcome) => {
        isSettled = true
        direct.remove(entry)
        if (Exit.isExit(outcome) && Exit.isSuccess(outcome)) return resolve(outcome.value as A)
        run(outcome, caller).then(resolve, reject)
      })
      if (started === undefined) {
        run(effect(), caller).then(resolve, reject)
        return
      }
      // A send may fail before `start` returns.
      if (isSettled) return
      entry.cancel = started.cancel
      direct.add(entry)
    })
  }

  return {
    run,
    runDirect,
    close: (before) => {
      isClosed = true
      const calls = direct.all()
      for (const call of calls) {
        direct.remove(call)
        call.end()
      }
      const given = Effect.forEach(calls, ({ cancel }) => cancel, { discard: true })
      const rest = Effect.suspend(() => Fiber.interruptAll(running.all().map(({ fiber }) => fiber)))
      return Effect.runPromise(
        Effect.asVoid(
          Effect.andThen(given, before).pipe(Effect.ensuring(runtime.disposeEffect), Effect.ensuring(rest))
        )
      )
    }
  }
}

/** Iterates over a stream until a signal is aborted. */
export const iterate = <A>(options: {
  readonly stream: Stream.Stream<A, SessionError>
  readonly server: string
  readonly signal: Signal | undefined
}): AsyncIterable<A> => {
  const { server, signal, stream } = options
  if (signal === undefined) return Stream.toAsyncIterable(stream)
  const aborted = Effect.callback<never, SessionError>((resume) => {
    if (signal.aborted) return resume(Effect.fail(cancelled(server, signal, "NotSent")))
    const abort = () => resume(Effect.fail(cancelled(server, signal, "Unknown")))
    signal.addEventListener("abort", abort)
    return Effect.sync(() => signal.removeEventListener("abort", abort))
  })
  return Stream.toAsyncIterable(Stream.interruptWhen(stream, aborted))
}

/** Makes both ways to close a resource. */
export const closeable = (close: () => Promise<void>): Closeable => ({ close, [Symbol.asyncDispose]: close })

/** Runs an effect that acquires in a scope of its own. The scope is closed if that fails, or is interrupted. */
export const acquire = <A, E, R>(
  effect: Effect.Effect<A, E, R | Scope.Scope>
): Effect.Effect<{ readonly value: A; readonly close: () => Promise<void> }, E, Exclude<R, Scope.Scope>> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const value = yield* restore(effect).pipe(
        Scope.provide(scope),
        Effect.onError(() => Scope.close(scope, Exit.void))
      )
      // @effect-diagnostics-next-line runEffectInsideEffect:off - the program closes it, outside of any effect
      return { value, close: () => Effect.runPromise(Scope.close(scope, Exit.void)) }
    })
  )

/** Waits for a promise of the program. An error that is not typed passes through as a defect. */
export const fromPromise = <A, E>({ isTyped, run }: {
  readonly run: () => Promise<A>
  readonly isTyped: (error: unknown) => error is E
}): Effect.Effect<A, E> =>
  Effect.callback((resume) => {
    const failed = (error: unknown) => resume(isTyped(error) ? Effect.fail(error) : Effect.die(error))
    // The function may throw before there is a promise.
    Promise.resolve().then(run).then((value) => resume(Effect.succeed(value)), failed)
  })
