/**
 * Subscriptions: the resources that one client has subscribed to, each for as long as its server notifies of changes.
 *
 * A resource has one subscription from the moment that a request asks for it, so concurrent requests share it and count once.
 *
 * @see https://modelcontextprotocol.io/specification/2025-11-25/server/resources#subscriptions
 */
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import { codes, gatewayFailed, RpcError } from "../protocol/rpc.ts"

/** How many resources a client may subscribe to. */
const subscriptionLimit = 256

const tooMany = new RpcError({ code: codes.limited, message: `more than ${subscriptionLimit} subscriptions` })

const ended = new RpcError({
  code: codes.invalidRequest,
  message: "the subscription was ended before the server had answered"
})

/** Where the changes of a resource come from. */
interface Source {
  readonly server: string
  /** Follows the resource until it is interrupted. It runs `established` once the server notifies of changes. */
  readonly follow: (established: Effect.Effect<void>) => Effect.Effect<void, RpcError>
}

interface Subscription {
  readonly established: Deferred.Deferred<void, RpcError>
  /** What follows the resource; `undefined` until it has started. */
  fiber: Fiber.Fiber<void, RpcError> | undefined
  /** How many requests wait until it is established. */
  waiting: number
}

export class Subscriptions {
  readonly #scope: Scope.Scope
  readonly #onChange: () => void
  readonly #byUri = new Map<string, Subscription>()

  /** They end with `scope`. `onChange` is called when one was added or has ended. */
  constructor({ onChange, scope }: { readonly scope: Scope.Scope; readonly onChange: () => void }) {
    this.#scope = scope
    this.#onChange = onChange
  }

  /** The URIs of the resources. */
  get uris(): ReadonlyArray<string> {
    return [...this.#byUri.keys()]
  }

  /**
   * Subscribes to a resource, and waits until the server notifies of changes. Joins the subscription that there is. When the last request is
   * interrupted that waits, the subscription ends.
   */
  add(uri: string, source: Source): Effect.Effect<void, RpcError> {
    return Effect.uninterruptibleMask((restore) =>
      Effect.suspend(() => {
        const known = this.#byUri.get(uri)
        if (known !== undefined) return restore(this.#wait(uri, known))
        if (this.#byUri.size >= subscriptionLimit) return Effect.fail(tooMany)
        const subscription: Subscription = { established: Deferred.makeUnsafe(), fiber: undefined, waiting: 0 }
        this.#byUri.set(uri, subscription)
        this.#onChange()
        return Effect.flatMap(this.#start(subscription, source), (fiber) => {
          subscription.fiber = fiber
          fiber.addObserver((exit) => this.#end(uri, subscription, exit))
          return restore(this.#wait(uri, subscription))
        })
      })
    )
  }

  /** Ends a subscription, also one that is not established yet. */
  remove(uri: string): Effect.Effect<void> {
    return Effect.suspend(() => {
      const subscription = this.#byUri.get(uri)
      return subscription === undefined ? Effect.void : this.#stop(uri, subscription)
    })
  }

  #start({ established }: Subscription, { follow, server }: Source): Effect.Effect<Fiber.Fiber<void, RpcError>> {
    return follow(Effect.asVoid(Deferred.succeed(established, undefined))).pipe(
      Effect.onExit((exit) => {
        if (Exit.isFailure(exit) && Cause.hasDies(exit.cause)) {
          return Effect.logError(`the gateway failed to follow a subscription at ${server}`, exit.cause)
        }
        const isInterrupted = Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause)
        if (isInterrupted || !Deferred.isDoneUnsafe(established)) return Effect.void
        return Exit.isFailure(exit)
          ? Effect.logWarning(`a subscription at ${server} has ended`, exit.cause)
          : Effect.logWarning(`a subscription at ${server} was ended by the server`)
      }),
      Effect.forkIn(this.#scope, { startImmediately: true })
    )
  }

  #wait(uri: string, subscription: Subscription): Effect.Effect<void, RpcError> {
    const { established } = subscription
    return Effect.suspend(() => {
      subscription.waiting++
      return Effect.onExit(Deferred.await(established), () =>
        Effect.suspend(() => {
          subscription.waiting--
          const isLeft = subscription.waiting === 0 && !Deferred.isDoneUnsafe(established)
          return isLeft ? this.#stop(uri, subscription) : Effect.void
        }))
    })
  }

  #stop(uri: string, subscription: Subscription): Effect.Effect<void> {
    this.#forget(uri, subscription)
    return subscription.fiber === undefined ? Effect.void : Fiber.interrupt(subscription.fiber)
  }

  #end(uri: string, subscription: Subscription, exit: Exit.Exit<void, RpcError>): void {
    this.#forget(uri, subscription)
    const failure = Exit.findErrorOption(exit)
    const isDefect = Exit.isFailure(exit) && Cause.hasDies(exit.cause)
    const error = failure._tag === "Some" ? failure.value : isDefect ? gatewayFailed : ended
    Deferred.doneUnsafe(subscription.established, Exit.fail(error))
  }

  /** Forgets a subscription, unless its resource has another one by now. */
  #forget(uri: string, subscription: Subscription): void {
    if (this.#byUri.get(uri) !== subscription) return
    this.#byUri.delete(uri)
    this.#onChange()
  }
}
