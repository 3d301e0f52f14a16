import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { warmUp } from "../../../packages/transports/src/internal/sdk/warmUp.ts"

describe("the rehearsal of a handshake", () => {
  it.effect("succeeds with the client of the SDK", () =>
    Effect.map(Effect.promise(warmUp), (outcome) => assert.isUndefined(outcome)))
})
