/**
 * Token stores that processes share: real processes, and a ledger of what each saved.
 */
import { assert, describe, it } from "@effect/vitest"
import { TokenStore } from "@mcp-sessions/transports"
import { Effect, Fiber, Layer, Redacted } from "effect"
import * as SqlClient from "effect/sql/SqlClient"
import { TestClock } from "effect/testing"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fixture } from "../../fixtures/fixture.ts"
import * as Postgres from "../../fixtures/postgres.ts"
import { isLockTimeout, shared, type SharedKind } from "../../fixtures/tokenStores.ts"

const program = fixture("tokenStoreProcess.ts")
const fibers = 12
const times = 4

const spawnProgram = (words: ReadonlyArray<string>) =>
  Effect.acquireRelease(
    Effect.sync(() => spawn(process.execPath, [program, ...words], { stdio: ["ignore", "pipe", "inherit"] })),
    (child) => Effect.sync(() => child.kill("SIGKILL"))
  )

const makePlace = (kind: SharedKind) =>
  Effect.gen(function*() {
    const directory = yield* Effect.acquireRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "tokens-"))),
      (directory) => Effect.sync(() => rmSync(directory, { recursive: true }))
    )
    const ledger = join(directory, "ledger")
    if (kind !== "postgres") return { place: join(directory, "store"), ledger }
    const place = `mcp_sessions_shared_${process.pid}_${directory.slice(-6).toLowerCase()}`
    yield* Effect.addFinalizer(() => Postgres.dropTable(place))
    return { place, ledger }
  })

const kinds: ReadonlyArray<readonly [kind: SharedKind, isAvailable: boolean]> = [
  ["file", true],
  ["sqlite", true],
  ["postgres", Postgres.isRunning]
]

for (const [kind, isAvailable] of kinds) {
  describe.skipIf(!isAvailable)(
    `two processes with a ${kind} store${isAvailable ? "" : Postgres.reason}`,
    () => {
      for (const [mode, what] of [["count", "under its lock"], ["race", "without its lock"]] as const) {
        it.effect(`lose no update of a key that many fibers of each write ${what}`, () =>
          Effect.gen(function*() {
            const { ledger, place } = yield* makePlace(kind)
            const words = [kind, place, mode, String(fibers), String(times), ledger]
            const children = yield* Effect.all([spawnProgram(words), spawnProgram(words)])
            const codes = yield* Effect.promise(() =>
              Promise.all(children.map((child) => once(child, "exit").then(([code]) => code)))
            )
            assert.deepStrictEqual(codes, [0, 0])
            const saved = readFileSync(ledger, "utf8").trim().split("\n").map(Number)
            const total = 2 * fibers * times
            // A process appends after it saved, so without the lock the lines may be out of order.
            assert.deepStrictEqual(
              mode === "count" ? saved : saved.toSorted((left, right) => left - right),
              Array.from({ length: total }, (_, index) => index + 1)
            )
            const entry = yield* Effect.flatMap(TokenStore.TokenStore, ({ get }) => get("counter")).pipe(
              Effect.provide(shared(kind, place))
            )
            assert.strictEqual(entry && Redacted.value(entry.value), String(total))
          }))
      }

      it.effect("wait for the lock of the other at most 30 seconds, and get it when its holder is killed", () =>
        Effect.gen(function*() {
          const { place } = yield* makePlace(kind)
          const holder = yield* spawnProgram([kind, place, "hold"])
          yield* Effect.promise(() => once(holder.stdout, "data"))
          yield* Effect.gen(function*() {
            const { get, locked } = yield* TokenStore.TokenStore
            assert.isUndefined(yield* get("counter"))
            assert.strictEqual(yield* locked("another", Effect.succeed("free")), "free")

            const failing = yield* Effect.forkChild(Effect.flip(locked("counter", Effect.void)))
            while (failing.pollUnsafe() === undefined) {
              yield* TestClock.adjust("1 second")
              yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
            }
            assert.deepInclude(yield* Fiber.join(failing), { operation: "lock", reason: "LockTimeout" })

            holder.kill("SIGKILL")
            yield* Effect.promise(() => once(holder, "exit"))
            // The store notices the end of the holder in real time. Virtual time would run ahead of it, and past the time limits of the store.
            const mine = locked("counter", Effect.succeed("mine"))
            assert.strictEqual(yield* TestClock.withLive(Effect.retry(mine, { while: isLockTimeout })), "mine")
          }).pipe(Effect.provide(shared(kind, place)))
        }))
    }
  )
}

describe.skipIf(!Postgres.isRunning)(`a token store in PostgreSQL${Postgres.reason}`, () => {
  it.effect("keeps a write when the transaction of the program that is open around it is rolled back", () =>
    Effect.gen(function*() {
      const { place } = yield* makePlace("postgres")
      yield* Effect.gen(function*() {
        const { get, locked, put } = yield* TokenStore.TokenStore
        const sql = yield* SqlClient.SqlClient
        const value = Redacted.make("v")
        yield* Effect.exit(sql.withTransaction(Effect.gen(function*() {
          yield* put({ key: "a", value, version: undefined })
          yield* locked("b", put({ key: "b", value, version: undefined }))
          return yield* Effect.fail("roll back")
        })))
        assert.isDefined(yield* get("a"))
        assert.isDefined(yield* get("b"))
      }).pipe(Effect.provide(
        TokenStore.layerSql({ table: place }).pipe(Layer.provideMerge(Postgres.layer({ maxConnections: 3 })))
      ))
    }))
})
