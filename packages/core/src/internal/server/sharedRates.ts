/**
 * Rates of servers in a store that processes share. While the store cannot be used, this process has rates of its own.
 *
 * Its buckets and windows count what it sends at all times, so an outage gives no new burst. A rate that is learned from 429 responses is
 * learned where it is used: the rate in memory counts requests during an outage only, and knows the pauses that servers asked for before.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as RateLimiter from "effect/persistence/RateLimiter"
import type * as Scope from "effect/Scope"
import { SharedStore } from "./sharedStore.ts"

type Store = RateLimiter.RateLimiterStore["Service"]

/** The store is probed in the scope. */
export const sharedRates = (store: Store, local: Store, scope: Scope.Scope): Store => {
  const shared = new SharedStore<RateLimiter.RateLimiterError>({
    subject: "the rates of servers",
    isFailure: ({ reason }) => reason._tag === "RateLimitStoreError",
    scope
  })
  return {
    fixedWindow: (options) =>
      Effect.flatMap(shared.attempt(store.fixedWindow(options)), (answer) => {
        if (Option.isNone(answer)) return local.fixedWindow(options)
        const [count] = answer.value
        return options.limit !== undefined && count > options.limit
          ? Effect.succeed(answer.value)
          : Effect.as(local.fixedWindow({ ...options, limit: undefined }), answer.value)
      }),
    tokenBucket: (options) =>
      Effect.flatMap(shared.attempt(store.tokenBucket(options)), (answer) => {
        if (Option.isNone(answer)) return local.tokenBucket(options)
        const [remaining] = answer.value
        return remaining < 0 && !options.allowOverflow
          ? Effect.succeed(answer.value)
          : Effect.as(local.tokenBucket({ ...options, allowOverflow: true }), answer.value)
      }),
    // The epochs of rates in memory are negative here. In epoch 0 no rate is learned, in neither store.
    adaptiveConsume: (options) =>
      shared.orLocal(
        store.adaptiveConsume(options),
        Effect.map(local.adaptiveConsume(options), (consumed) => ({ ...consumed, epoch: 0 - consumed.epoch }))
      ),
    adaptiveFeedback: (options) =>
      options.epoch < 0
        ? local.adaptiveFeedback({ ...options, epoch: -options.epoch })
        // A pause has to last although the store goes away meanwhile.
        : Effect.andThen(
          shared.attempt(store.adaptiveFeedback(options)),
          local.adaptiveFeedback({ ...options, epoch: 0 })
        )
  }
}
