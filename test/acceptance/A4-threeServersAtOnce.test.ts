/**
 * A4, three servers at once: one has a missing command, one never responds, one works.
 */
import { assert, describe, it } from "@effect/vitest"
import { Circuit, RetryPolicy, type SessionError, Sessions } from "@mcp-sessions/core"
import { Transports } from "@mcp-sessions/transports"
import { Effect, Layer, Queue, Schedule, Stream } from "effect"
import { chmodSync, renameSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { descendants, fixture, makeLedger } from "../fixtures/peer.ts"
import { read as readAll } from "../fixtures/read.ts"

/**
 * The connect timeout of the mute server in milliseconds: long enough for the good server to start first on a loaded machine. The mute one
 * ignores SIGTERM, so that its end takes two seconds more.
 */
const deadline = 6000

const every = (pause: "100 millis"): RetryPolicy.RetryPolicy =>
  Schedule.setInputType<SessionError.SessionError>()(Schedule.spaced(pause))

/** The three servers, their ledger, and a repair for each of the two failing ones. */
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
    // The frequent reconnects open the circuit; a short period keeps the test fast.
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

describe.concurrent("A4: openAll on a dead, a mute and a good server", () => {
  it.live("emits the good server at once, reports the other two as they fail, and emits them after their repair", () =>
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

        // They recover without a caller and without a new layer.
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
      // This includes the mute processes.
      assert.deepStrictEqual(descendants(file), [])
      assert.deepStrictEqual(read("call"), ["hello", "dead", "mute", "good"])
    }).pipe(Effect.scoped))

  it.live("fails in strict mode with the error of each server, and leaves no process", () =>
    Effect.gen(function*() {
      const { file, layer, read } = yield* three
      yield* Effect.gen(function*() {
        const sessions = yield* Sessions.Sessions
        const opened = sessions.openAll({ mode: "strict" })
        const failed = yield* Effect.flip(Stream.runDrain(opened))
        // The processes have ended when the error arrives, including the one that ignores SIGTERM.
        assert.deepStrictEqual(descendants(file), [])
        assert.strictEqual(read("process").length, 2)
        const errors = failed._tag === "OpenFailed" ? failed.errors : []
        const all = errors.map((error) => error._tag === "SessionError" ? `${error.server} ${error.reason._tag}` : "")
        assert.deepStrictEqual(all.toSorted(), ["dead SpawnFailed", "mute ConnectTimeout"])
      }).pipe(Effect.scoped, Effect.provide(layer))
      assert.strictEqual(read("process").length, 2)
    }).pipe(Effect.scoped))

  it.live("ends servers that never recover when the sessions close", () =>
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
