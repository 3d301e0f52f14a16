/**
 * What fallback needs of the registry.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { FallbackPolicy } from "../../FallbackPolicy.ts"
import type { FallbackPort } from "../fallback/fallbackPort.ts"
import { PanicMode } from "../fallback/panicMode.ts"
import type { Registry } from "./registry.ts"

/** Makes the port of fallback over the servers of a registry. */
export const fallbackPortOf = (
  ...[registry, { panicWindow }]: readonly [registry: Registry, policy: FallbackPolicy]
): FallbackPort => ({
  panicMode: new PanicMode(Duration.toMillis(Duration.fromInputUnsafe(panicWindow))),
  find: (server) => registry.findEnabled(server),
  openSession: ({ ledger, owner, retry, server }) =>
    Effect.flatMap(registry.shared(server, owner), (core) => registry.session(core, { retry, ledger }))
})
