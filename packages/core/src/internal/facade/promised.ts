/**
 * Derives promise interfaces from Effect interfaces: the types by mapped types, the objects from a table of the members.
 */
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Stream from "effect/Stream"
import type * as RetryPolicy from "../../RetryPolicy.ts"
import type { Session } from "../../Session.ts"
import type { Rules } from "../config/callOptions.ts"
import { rules } from "./effectOptions.ts"

/**
 * The part of the platform's `AbortSignal` that is used here. Every `AbortSignal` is one.
 *
 * @category models
 * @since 0.1.0
 */
export interface Signal {
  /** Whether the signal was aborted. */
  readonly aborted: boolean
  /** Why it was aborted. */
  readonly reason: unknown
  /** Adds a listener of the abort. */
  readonly addEventListener: (type: "abort", listener: () => void) => void
  /** Removes a listener of the abort. */
  readonly removeEventListener: (type: "abort", listener: () => void) => void
}

/**
 * Options of every operation. Aborting `signal` cancels the operation, on the server too.
 *
 * @category models
 * @since 0.1.0
 */
export interface SignalOptions {
  /** Cancels the operation when it is aborted, on the server too. */
  readonly signal?: Signal | undefined
}

/**
 * A duration: milliseconds, or text such as `"20 seconds"`.
 *
 * @category models
 * @since 0.1.0
 */
export type TimeSpan = Extract<Duration.Input, number | string>

/**
 * A retry policy in numbers: at most `times` retries after the first attempt, `delay` apart. Only failures that may pass are retried,
 * and only where a retry cannot run a tool twice.
 *
 * @category models
 * @since 0.1.0
 */
export interface RetryOptions {
  /** The most retries after the first attempt. */
  readonly times: number
  /** The time between two attempts: milliseconds, or text such as `"1 second"`. */
  readonly delay: TimeSpan
}

type AnyEffect = Effect.Effect<unknown, unknown, unknown>

type PlainFunction<F> = F extends (...args: infer P) => infer R
  ? Extract<R, AnyEffect> extends never ? F : (...args: P) => void | Promise<void>
  : never

type PlainValue<V> = [Duration.Input] extends [V] ? TimeSpan | Extract<V, undefined>
  : [RetryPolicy.RetryPolicy] extends [V] ? RetryOptions | Extract<V, undefined>
  : V extends (...args: never) => unknown ? PlainFunction<V>
  : V extends object ? Plain<V>
  : V

/**
 * Options without Effect: durations are numbers or text, retry policies numbers, and handlers plain or async functions.
 *
 * @category models
 * @since 0.1.0
 */
export type Plain<O> = { readonly [K in keyof O]: PlainValue<O[K]> }

/** Whether a parameter holds the options of an operation. */
type IsOptions<P> = P extends object
  ? string extends keyof P ? false : "timeout" extends keyof P ? true : "owner" extends keyof P ? true : false
  : false

type HasOptions<P extends ReadonlyArray<unknown>> = true extends IsOptions<Required<P>[number]> ? true : false

/** Parameters with the options of promises. A mapped tuple keeps the names of the parameters. */
type PlainParameters<P extends ReadonlyArray<unknown>> = HasOptions<P> extends true
  ? { [I in keyof P]: IsOptions<Exclude<P[I], undefined>> extends true ? Plain<P[I]> & SignalOptions : P[I] }
  : [...P, options?: SignalOptions]

/**
 * A member of an Effect interface in promises: an effect becomes a function that returns a promise, a stream one that returns an
 * async iterable.
 *
 * @category models
 * @since 0.1.0
 */
export type PromisedMember<M> = M extends Stream.Stream<infer A, unknown, unknown>
  ? (options?: SignalOptions) => AsyncIterable<A>
  : M extends Effect.Effect<infer A, unknown, unknown> ? (options?: SignalOptions) => Promise<A>
  : M extends (...args: infer P) => Stream.Stream<infer A, unknown, unknown> ?
    (...args: PlainParameters<P>) => AsyncIterable<A>
  : M extends (...args: infer P) => Effect.Effect<infer A, unknown, unknown> ?
    (...args: PlainParameters<P>) => Promise<A>
  : M

/**
 * An Effect interface in promises.
 *
 * @category models
 * @since 0.1.0
 */
export type Promised<T> = { readonly [K in keyof T]: PromisedMember<T[K]> }

type OptionsPlace<P extends ReadonlyArray<unknown>> = HasOptions<P> extends true
  ? Required<P> extends readonly [...infer I, unknown] ? I["length"] : never
  : Required<P>["length"]

type Place<M> = M extends Stream.Stream<unknown, unknown, unknown> | AnyEffect ? 0
  : M extends (...args: infer P) => unknown ? OptionsPlace<P>
  : undefined

/** For each member, at which of its parameters the options are; `undefined` for a plain value. The compiler checks the numbers. */
export type Places<T> = { readonly [K in keyof T]: Place<T[K]> }

/** Runs what `make` makes, an effect or a stream: gives a promise or an async iterable. */
export type Runner = (
  make: (options: unknown) => unknown,
  options: SignalOptions | undefined,
  rules: Rules
) => unknown

/** The rules of the options of members that have more than a signal. */
export type OptionRules<T> = { readonly [K in keyof T]?: Rules }

/** An object in promises over one in effects. */
class Facade {
  readonly #source: object
  readonly #runner: Runner

  constructor(source: object, runner: Runner) {
    this.#source = source
    this.#runner = runner
  }

  static member(facade: Facade, name: string, place: number | undefined, rules: Rules): unknown {
    const source = facade.#source
    const runner = facade.#runner
    const member = (source as Record<string, unknown>)[name]
    if (place === undefined) return member
    return (...given: ReadonlyArray<unknown>) => {
      const make = (options: unknown): unknown => {
        if (typeof member !== "function") return member
        return Reflect.apply(member, source, given.length > place ? given.with(place, options) : given)
      }
      return runner(make, given[place] as SignalOptions | undefined, rules)
    }
  }
}

/**
 * Makes a constructor of objects in promises. Their members are getters, so that making one costs next to nothing, and that they can be
 * taken out of the object: `const { callTool } = session`.
 */
export const facadeOf = <T extends object>(
  places: Places<T>,
  optionRules: OptionRules<T> = {}
): <M extends object>(
  options: { readonly source: T; readonly runner: Runner; readonly more: M }
) => Promised<T> & M => {
  class Derived extends Facade {}
  for (const [name, place] of Object.entries<number | undefined>(places as Record<string, number | undefined>)) {
    Object.defineProperty(Derived.prototype, name, {
      enumerable: true,
      get(this: Facade) {
        return Facade.member(this, name, place, optionRules[name as keyof T] ?? rules.signal)
      }
    })
  }
  return ({ more, runner, source }) =>
    Object.assign(new Derived(source, runner), more) as unknown as
      & Promised<T>
      & typeof more
}

/** Makes a session in promises. */
export const sessionOf = facadeOf<Session>({
  server: undefined,
  connect: 0,
  generation: 0,
  state: 0,
  stateChanges: 0,
  listTools: 0,
  callTool: 2,
  listResources: 0,
  listResourceTemplates: 0,
  readResource: 1,
  listPrompts: 0,
  getPrompt: 2,
  complete: 2,
  notifications: 0,
  subscribe: 1,
  watchTools: 0,
  watchResources: 0,
  watchResourceTemplates: 0,
  watchPrompts: 0,
  setLogLevel: 1,
  ping: 0
}, {
  listTools: rules.list,
  listResources: rules.list,
  listResourceTemplates: rules.list,
  listPrompts: rules.list,
  readResource: rules.request,
  getPrompt: rules.request,
  complete: rules.complete
})
