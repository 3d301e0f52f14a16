/**
 * Plays random scripts of calls and faults. `FUZZ_SCRIPT`, which a failure prints, plays one script; `FUZZ_SEED` other scripts, and
 * `FUZZ_TIMES` as many times more of them.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { fuzz, replay } from "./fixtures/fuzz/fuzz.ts"

/** Fails with the report of a failure. */
const check = <E>(reported: Effect.Effect<string | undefined, E>) =>
  Effect.map(reported, (report) => {
    if (report !== undefined) assert.fail(report)
  })

const { FUZZ_SCRIPT: script, FUZZ_SEED: seed = "11", FUZZ_TIMES: times = "1" } = process.env

describe.concurrent("whatever a server does, no tool runs twice, no result is crossed and every call ends", () => {
  if (script !== undefined) {
    it.live("in the given script", () => check(replay(script)))
    return
  }
  for (
    const [name, kind, runs] of [
      ["over HTTP", "http", 100],
      ["over HTTP in the modern era", "modern", 60],
      ["over SSE", "sse", 50],
      ["over WebSockets", "websocket", 60],
      ["over stdio", "stdio", 6]
    ] as const
  ) {
    it.live(name, () => check(fuzz({ kind, runs: runs * Number(times), seed: Number(seed) })), 600_000 * Number(times))
  }
})
