import { assert, describe, it } from "@effect/vitest"
import { EarlyProcess } from "@mcp-sessions/transports"
import { Effect } from "effect"
import { isAlive, until } from "../fixtures/peer.ts"

const start = (command: string, ...args: ReadonlyArray<string>) =>
  EarlyProcess.start({ command, args, env: EarlyProcess.inherited(), given: [], cwd: undefined })

describe("a process that was started early", () => {
  it.live("is given to one caller, and left alone by the end after that", () =>
    Effect.gen(function*() {
      const early = start("cat")
      const taken = (yield* Effect.promise(() => early.take())) ?? assert.fail("it did not start")
      assert.isUndefined(yield* Effect.promise(() => early.take()))
      yield* Effect.promise(() => early.end())
      assert.isTrue(isAlive(String(taken.pid)))
      yield* Effect.promise(() => taken.close())
      assert.deepStrictEqual(yield* Effect.promise(() => taken.exited), { exitCode: 0, signal: null })
    }))

  it.live("ends with its descendants", () =>
    Effect.gen(function*() {
      const early = start("sh", "-c", "sleep 1000 & echo $!; wait")
      const taken = (yield* Effect.promise(() => early.take())) ?? assert.fail("it did not start")
      let output = ""
      taken.stdout.on("data", (chunk) => output += chunk)
      const sleeper = (yield* until(() => output, (text) => text.endsWith("\n"))).trim()
      yield* Effect.promise(() => taken.close())
      assert.isFalse(isAlive(sleeper))
    }))

  it.live("is not given if the system cannot start it", () =>
    Effect.gen(function*() {
      const early = start("/no/such/program")
      assert.isUndefined(yield* Effect.promise(() => early.take()))
      yield* Effect.promise(() => early.end())
    }))
})
