/**
 * Runs effects as promises over one layer: builds it on first use, cancels what a signal aborts, and ends everything at once.
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { AnySpan } from "effect/Tracer"
import type { SessionError } from "../../SessionError.ts"
import { Bag } from "../bag.ts"
import type { InFlight, OnEnd, StartedCall } from "../request/inFlightRecord.ts"
import { CurrentWrites } from "../request/writes.ts"
import type { Loan } from "./loan.ts"
import type { Signal, SignalOptions } from "./promised.ts"
import { cancelled, endAll, RunningCall } from "./runningCall.ts"

/** For whom an operation runs: the server that its errors name, and the loan whose session it uses. */
export interface Caller {
  readonly server: string
  readonly loan?: Loan | undefined
}

/**
 * A resource with an end. `close` and disposal do the same; closing twice is harmless.
 *
 * @category models
 * @since 0.1.0
 */
export interface Closeable extends AsyncDisposable {
  /** Closes the resource. Resolves once it is closed; closing twice is harmless. */
  readonly close: () => Promise<void>
}

/** Starts a call without a fiber, or returns `undefined`. */
type DirectStart<A, R> = (context: Context.Context<R>, onEnd: OnEnd<A, SessionError>) => StartedCall | undefined

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
  /** Ends what is running, runs `before`, and closes the layer. */
  readonly close: (before: Effect.Effect<unknown>) => Promise<void>
}

/** How a promise is settled, and what its call has done before. */
interface Settle<A> {
  readonly signal?: Signal | undefined
  readonly failed?: InFlight | undefined
  readonly span?: AnySpan | undefined
  readonly resolve: (value: A) => void
  readonly reject: (error: unknown) => void
}

/** Makes a runtime. `isTyped` tells the errors that promises may reject with from those that only the end of everything causes. */
export const make = <R, E>({ isTyped, layer, parent }: {
  readonly layer: Layer.Layer<R, E>
  /** Returns the span in which an operation starts, if the program gives one. */
  readonly parent?: (() => AnySpan | undefined) | undefined
  readonly isTyped: (error: unknown) => boolean
}): PromiseRuntime<R, E> => {
  const runtime = ManagedRuntime.make(layer)
  const running = new Bag<RunningCall>()
  let isClosed = false

  const isEnded = ({ loan }: Caller): boolean => isClosed || loan?.isEnded === true

  const add = (call: RunningCall, { loan }: Caller) => {
    running.add(call)
    loan?.add(call)
  }

  const remove = (call: RunningCall, { loan }: Caller) => {
    running.remove(call)
    loan?.remove(call)
  }

  const errorOf = (call: RunningCall, cause: Cause.Cause<unknown>, signal: Signal | undefined): unknown => {
    if (Cause.hasInterruptsOnly(cause)) return signal?.aborted === true ? call.cancelled(signal) : call.closed
    const error = Cause.squash(cause)
    return isClosed && !isTyped(error) ? call.closed : error
  }

  /** Runs a call in a fiber, and settles its promise. `failed` is the request that the call has made without one. */
  const follow = <A>(
    call: RunningCall,
    caller: Caller,
    made: Effect.Effect<A, E | SessionError, R>,
    { failed, reject, resolve, signal, span }: Settle<A>
  ): void => {
    const effect = span === undefined ? made : Effect.withParentSpan(made, span)
    const { cachedContext } = runtime
    const writes = call.record(caller.loan?.writes, failed)
    const fiber = cachedContext === undefined
      ? Effect.runFork(
        Effect.flatMap(
          runtime.contextEffect,
          (context) => Effect.provideContext(effect, Context.add(context, CurrentWrites, writes))
        ),
        { signal }
      )
      : Effect.runForkWith(Context.add(cachedContext, CurrentWrites, writes))(effect, { signal })
    call.fiber = fiber
    add(call, caller)
    fiber.addObserver((exit) => {
      remove(call, caller)
      if (Exit.isSuccess(exit)) resolve(exit.value)
      else reject(errorOf(call, exit.cause, signal))
    })
  }

  const run: PromiseRuntime<R, E>["run"] = (effect, caller, options) =>
    // @effect-diagnostics-next-line newPromise:off - the promise that Effect makes of a fiber hides the fiber
    new Promise((resolve, reject) => {
      const signal = options?.signal
      const call = new RunningCall(caller.server, reject)
      if (isEnded(caller)) return reject(call.closed)
      if (signal?.aborted === true) return reject(call.cancelled(signal))
      follow(call, caller, effect, { resolve, reject, signal, span: parent?.() })
    })

  const runDirect = <A>(
    start: DirectStart<A, R>,
    effect: () => Effect.Effect<A, E | SessionError, R>,
    caller: Caller
  ): Promise<A> =>
    // @effect-diagnostics-next-line newPromise:off - a call without a fiber settles its promise itself
    new Promise((resolve, reject) => {
      const { cachedContext } = runtime
      const call = new RunningCall(caller.server, reject)
      if (isEnded(caller)) return reject(call.closed)
      let isSettled = false
      const span = parent?.()
      const started = cachedContext === undefined || span !== undefined ?
        undefined :
        start(cachedContext, (outcome, failed) => {
          isSettled = true
          remove(call, caller)
          if (Exit.isExit(outcome) && Exit.isSuccess(outcome)) return resolve(outcome.value as A)
          follow(call, caller, outcome, { resolve, reject, failed })
        })
      if (started === undefined) return follow(call, caller, effect(), { resolve, reject, span })
      // A send may fail before `start` returns.
      if (isSettled) return
      call.started = started
      add(call, caller)
    })

  return {
    run,
    runDirect,
    close: (before) => {
      isClosed = true
      const calls = running.all()
      const fibers = endAll(calls)
      for (const call of calls) if (call.fiber === undefined) running.remove(call)
      return Effect.runPromise(
        Effect.asVoid(before.pipe(Effect.ensuring(runtime.disposeEffect), Effect.ensuring(Fiber.awaitAll(fibers))))
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
