/**
 * The load through a gateway: clients of both eras call tools of the servers behind it, each owner in sessions of its own.
 *
 * A target is one server: `pool` is that of the pool, and `fallback` is `primary`.
 */
import type { ServerConfigInput } from "@mcp-sessions/core/ServerConfig"
import type { Session } from "@mcp-sessions/core/Session"
import * as Sessions from "@mcp-sessions/core/Sessions"
import * as Gateway from "@mcp-sessions/transports/Gateway"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import * as ending from "./ending.ts"
import { type LoadOptions, offerSteadily, operationOf, owners, picker } from "./load.ts"
import { type Target, targets } from "./record.ts"

const serverOf = (target: Target): string => target === "fallback" ? "primary" : target

const eras = ["legacy", "modern"] as const
const kinds = ["put", "charge"] as const

/** The sessions of clients, over a gateway that serves servers. */
export const layer = (servers: Readonly<Record<string, ServerConfigInput>>) =>
  Layer.unwrap(Effect.map(Gateway.Gateway, ({ url }) => {
    const patient = { url, requestTimeout: "20 seconds", totalTimeout: "30 seconds", healthInterval: 0 } as const
    return Sessions.layer({
      servers: {
        legacy: { ...patient, protocol: "legacy" },
        modern: { ...patient, protocol: "2026-07-28" }
      }
    })
  })).pipe(
    Layer.provide(Gateway.layer({ sessions: Sessions.layer({ servers }), startTimeout: "20 seconds" }))
  )

/** As `make` of the load without a gateway. */
export const make = Effect.fnUntraced(function*({ rate, record, seed }: LoadOptions) {
  const { chance, pick } = picker(yield* Random.Random.pipe(Random.withSeed(seed)))
  const sessions = yield* Sessions.Sessions
  const held = new Map<string, Session>()
  for (const era of eras) {
    for (const owner of owners) held.set(`${era} ${owner}`, yield* sessions.get(era, { owner }))
  }
  const calls = yield* FiberSet.make()

  const call = Effect.suspend(() => {
    const [era, owner, target, kind] = [pick(eras), pick(owners), pick(targets), pick(kinds)]
    const { end, id } = record.begin(target, kind)
    const operation = operationOf({ kind, content: String(id), prefix: `${serverOf(target)}_` })
    const known = held.get(`${era} ${owner}`)
    const called = known !== undefined && chance(0.5) ? operation(known) : sessions.use(era, operation, { owner })
    return Effect.onExit(called, (exit) => Effect.sync(() => end(ending.ofGateway(exit, String(id)))))
  })
  return { offer: offerSteadily({ call, calls, rate }), settled: FiberSet.awaitEmpty(calls) }
})
