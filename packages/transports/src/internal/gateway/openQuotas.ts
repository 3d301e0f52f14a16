/**
 * Makes the quotas of a gateway, with shared rates if its context has a store for them.
 */
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import { RateLimiterStore } from "effect/persistence/RateLimiter"
import type * as Scope from "effect/Scope"
import { Quotas } from "./admission/quotas.ts"
import { SharedRates } from "./admission/sharedRates.ts"
import type { ReadOptions } from "./gatewayOptions.ts"

export const openQuotas = Effect.fnUntraced(function*(
  { limits, path, publicUrl }: ReadOptions,
  now: () => number
): Effect.fn.Return<Quotas, never, Scope.Scope> {
  const store = yield* Effect.serviceOption(RateLimiterStore)
  if (store._tag === "None") return new Quotas(limits, now)
  const fork = yield* FiberSet.makeRuntime()
  return new Quotas(
    limits,
    now,
    new SharedRates({
      store: store.value,
      requestsPerSecond: limits.requestsPerSecond,
      realm: publicUrl ?? path,
      now,
      fork
    })
  )
})
