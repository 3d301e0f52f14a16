/**
 * Rates of servers in a store that processes share. While the store cannot be used, this process has rates of its own. They count what it sends
 * at all times, so they need not start anew.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as RateLimiter from "effect/persistence/RateLimiter"
import { SharedStore } from "./sharedStore.ts"

type Store = RateLimiter.RateLimiterStore["Service"]

export const sharedRates = (store: Store, local: Store): Store => {
  const shared = new SharedStore<RateLimiter.RateLimiterError>({
    subject: "the rates of servers",
    isFailure: ({ reason }) => reason._tag === "RateLimitStoreError"
  })
  return {
    ...store,
    fixedWindow: (options) => shared.orLocal(store.fixedWindow(options), local.fixedWindow(options)),
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
