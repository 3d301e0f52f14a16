/**
 * A4, three servers at once: one whose command is not there, one that says nothing, one that is good.
 */
import { assert, describe, it } from "@effect/vitest"
import { Circuit, RetryPolicy, type SessionError, Sessions } from "@mcp-sessions/core"
import { Transports } from "@mcp-sessions/transports"
import { Effect, Layer, Queue, Schedule, Stream } from "effect"
import { chmodSync, renameSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { descendants, fixture, makeLedger } from "../fixtures/peer.ts"
import { read as readAll } from "../fixtures/read.ts"

/** How long the mute one has, in milliseconds. It takes two seconds more to be ended, as it is deaf, too. */
const deadline = 1500

const every = (pause: "100 millis"): RetryPolicy.RetryPolicy =>
  Schedule.setInputType<SessionError.SessionError>()(Schedule.spaced(pause))

/** The three, what they write, and how each of the two is put right. */
const three = Effect.map(makeLedger, ({ directory, file, read }) => {
  const script = join(directory, "late-server")
  const server = fixture("faultyStdio.mjs")
  const moods = (mood: string) => writeFileSync(`${file}.mode`, mood)
  moods("mute")
  const common = { transport: "stdio" as const, env: { LEDGER: file }, protocol: "legacy" as const, healthInterval: 0 }
  const servers = {
    dead: { ...common, command: script, args: [] },
    mute: { ...common, command: process.execPath, args: [server, "moody", file], connectTimeout: deadline },
    good: { ...common, command: process.execPath, args: [server, "plain", file] }
  }
  const layer = Sessions.layer({
    servers,
    retry: RetryPolicy.never,
    reconnect: every("100 millis"),
    // What is tried again as often as this opens it.
    circuit: { ...Circuit.circuitDefault, openFor: "300 millis" }
  }).pipe(Layer.provide(Transports.layer))
  return {
    file,
    read,
    layer,
    install: () => {
      writeFileSync(`${script}.new`, `#!/bin/sh\nexec "${process.execPath}" "${server}" plain "${file}"\n`)
      chmodSync(`${script}.new`, 0o755)
      renameSync(`${script}.new`, script)
    },
    cure: () => moods("plain")
  }
})

const reasonOf = (opened: Sessions.Opened) =>
  opened._tag === "Failed" && opened.error._tag === "SessionError" ? opened.error.reason : undefined

describe.concurrent("A4: three servers, one dead, one mute, one good", () => {
  it.live("the good one answers at once, the others fail each in its way and time, and join when they are put right", () =>
    Effect.gen(function*() {
      const { cure, file, install, layer, read } = yield* three
      yield* Effect.gen(function*() {
        const began = performance.now()
        const sessions = yield* Sessions.Sessions
        const opened = yield* readAll(sessions.openAll())
        const first = yield* Queue.takeN(opened, 2)
        const good = first.find(({ server }) => server === "good")
        const dead = first.find(({ server }) => server === "dead")
        if (good?._tag !== "Usable" || dead === undefined) return assert.fail(JSON.stringify(first))
        yield* good.session.callTool("hello")
        assert.deepInclude(reasonOf(dead), { _tag: "SpawnFailed", code: "ENOENT" })

        const mute = yield* Queue.take(opened)
        const millis = performance.now() - began
        assert.strictEqual(mute.server, "mute")
        assert.deepInclude(reasonOf(mute), { _tag: "ConnectTimeout", timeout: deadline })
        assert.isAtLeast(millis, deadline - 10)

        // Nobody asks for them, and nothing is built anew.
        install()
        cure()
        yield* Effect.forEach(
          ["dead", "mute"],
          (server) =>
            Stream.map(sessions.statusChanges(server), ({ health }) => health).pipe(
              Stream.takeUntil(({ isHealthy }) => isHealthy),
              Stream.runDrain
            ),
          {
            concurrency: "unbounded"
          }
        )
        for (const server of ["dead", "mute", "good"]) {
          const { content } = yield* sessions.callTool(server, server)
          assert.deepStrictEqual(content, [{ type: "text", text: server }])
        }
        assert.strictEqual(yield* good.session.generation, 1)
      }).pipe(Effect.scoped, Effect.provide(layer))
      // Those that were mute among them.
      assert.deepStrictEqual(descendants(file), [])
      assert.deepStrictEqual(read("call"), ["hello", "dead", "mute", "good"])
    }).pipe(Effect.scoped))

  it.live("where all are needed it fails with what is wrong with each, and nothing runs any more", () =>
    Effect.gen(function*() {
      const { file, layer, read } = yield* three
      yield* Effect.gen(function*() {
        const sessions = yield* Sessions.Sessions
        const opened = sessions.openAll({ mode: "strict" })
        const { errors } = yield* Effect.flip(Stream.runDrain(opened))
        // At this very moment, and the deaf one among them.
        assert.deepStrictEqual(descendants(file), [])
        assert.strictEqual(read("process").length, 2)
        const all = errors.map((error) => error._tag === "SessionError" ? `${error.server} ${error.reason._tag}` : "")
        assert.deepStrictEqual(all.toSorted(), ["dead SpawnFailed", "mute ConnectTimeout"])
      }).pipe(Effect.scoped, Effect.provide(layer))
      assert.strictEqual(read("process").length, 2)
    }).pipe(Effect.scoped))

  it.live("those that never get well are ended with the rest", () =>
    Effect.gen(function*() {
      const { file, layer, read } = yield* three
      yield* Effect.gen(function*() {
        const sessions = yield* Sessions.Sessions
        yield* Stream.runDrain(sessions.openAll())
        assert.strictEqual((yield* sessions.callTool("good", "x")).content.length, 1)
      }).pipe(Effect.scoped, Effect.provide(layer))
      assert.deepStrictEqual(descendants(file), [])
      assert.deepStrictEqual(read("call"), ["x"])
    }).pipe(Effect.scoped))
})
