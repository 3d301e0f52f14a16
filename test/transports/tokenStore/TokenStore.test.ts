/**
 * What every token store does.
 */
import { assert, describe, it } from "@effect/vitest"
import { TokenStore } from "@mcp-sessions/transports"
import { Deferred, Effect, Exit, Fiber, Layer, Redacted, Schema } from "effect"
import { KeyValueStore } from "effect/persistence"
import { TestClock } from "effect/testing"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { inspect } from "node:util"
import * as Postgres from "../../fixtures/postgres.ts"
import * as Sqlite from "../../fixtures/sqlite.ts"
import * as Stores from "../../fixtures/tokenStores.ts"

type AnyStore = Layer.Layer<TokenStore.TokenStore, Stores.StoreError>

const inDirectory = (make: (directory: string) => AnyStore): AnyStore =>
  Layer.unwrap(Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "tokens-"))),
      (directory) => Effect.sync(() => rmSync(directory, { recursive: true }))
    ),
    make
  ))

const sqliteMemory = TokenStore.layerSql().pipe(Layer.provide(Sqlite.layer(":memory:")))

let tables = 0

const onPostgres: AnyStore = Layer.unwrap(Effect.map(
  Effect.acquireRelease(
    Effect.sync(() => `mcp_sessions_test_${process.pid}_${tables++}`),
    (table) => Postgres.dropTable(table)
  ),
  (table) => Stores.shared("postgres", table)
))

const stores: ReadonlyArray<readonly [name: string, layer: AnyStore, isAvailable: boolean]> = [
  ["in memory", TokenStore.layerMemory, true],
  ["in files", inDirectory((directory) => Stores.shared("file", join(directory, "tokens"))), true],
  ["over a key-value store", Stores.keyValue, true],
  ["in SQLite in memory", sqliteMemory, true],
  ["in a SQLite file", inDirectory((directory) => Stores.shared("sqlite", join(directory, "tokens.db"))), true],
  ["in PostgreSQL", onPostgres, Postgres.isRunning]
]

const secret = (text: string) => Redacted.make(text)
const textOf = (entry: TokenStore.Entry | undefined) => entry && Redacted.value(entry.value)

/** An operation of a writer that knows the present version, an earlier one, or none. */
const Step = Schema.Struct({
  key: Schema.Literals(["a", "a/b", "ä%_\"'", "http://server/path?q=1 · owner"]),
  action: Schema.Literals(["put", "remove", "removeAny"]),
  seen: Schema.Literals(["present", "earlier", "none"])
})

for (const [name, layer, isAvailable] of stores) {
  describe.skipIf(!isAvailable)(`a token store ${name}${isAvailable ? "" : Postgres.reason}`, () => {
    it.effect("reads what was saved, and nothing where nothing was", () =>
      Effect.gen(function*() {
        const { get, put } = yield* TokenStore.TokenStore
        assert.isUndefined(yield* get("k"))
        const { entry, isSaved } = yield* put({ key: "k", value: secret("v ü \n\""), version: undefined })
        assert.isTrue(isSaved)
        assert.deepStrictEqual(yield* get("k"), entry)
        assert.strictEqual(textOf(yield* get("k")), "v ü \n\"")
      }).pipe(Effect.provide(layer)))

    it.effect("keeps what a newer writer saved, and returns it to the late one", () =>
      Effect.gen(function*() {
        const { get, put, remove } = yield* TokenStore.TokenStore
        const first = yield* put({ key: "k", value: secret("first"), version: undefined })
        const newer = yield* put({ key: "k", value: secret("newer"), version: first.entry?.version })
        for (const version of [undefined, first.entry?.version, "unknown"]) {
          assert.deepStrictEqual(yield* put({ key: "k", value: secret("late"), version }), {
            isSaved: false,
            entry: newer.entry
          })
        }
        assert.isFalse(yield* remove({ key: "k", version: first.entry?.version ?? "" }))
        assert.strictEqual(textOf(yield* get("k")), "newer")
      }).pipe(Effect.provide(layer)))

    it.effect("does not mistake an entry that was removed and saved again for the earlier one", () =>
      Effect.gen(function*() {
        const { put, remove } = yield* TokenStore.TokenStore
        const first = yield* put({ key: "k", value: secret("same"), version: undefined })
        assert.isTrue(yield* remove({ key: "k", version: first.entry?.version }))
        assert.deepStrictEqual(yield* put({ key: "k", value: secret("late"), version: first.entry?.version }), {
          isSaved: false,
          entry: undefined
        })
        yield* put({ key: "k", value: secret("same"), version: undefined })
        assert.isFalse((yield* put({ key: "k", value: secret("late"), version: first.entry?.version })).isSaved)
      }).pipe(Effect.provide(layer)))

    it.effect.prop(
      "agrees with a map of versions, whatever the order of writes",
      [Schema.Array(Step)],
      ([steps]) =>
        Effect.gen(function*() {
          const { get, list, put, remove } = yield* TokenStore.TokenStore
          for (const key of yield* list("")) yield* remove({ key, version: undefined })
          const model = new Map<string, TokenStore.Entry>()
          const earlier = new Map<string, string>()
          let writes = 0
          for (const { action, key, seen } of steps) {
            const present = model.get(key)
            const version = { present: present?.version, earlier: earlier.get(key), none: undefined }[seen]
            if (action === "put") {
              const value = secret(`${writes++}`)
              const { entry, isSaved } = yield* put({ key, value, version })
              assert.strictEqual(isSaved, version === present?.version)
              if (entry === undefined) assert.isUndefined(present)
              else if (isSaved) {
                assert.strictEqual(textOf(entry), Redacted.value(value))
                model.set(key, entry)
                if (present !== undefined) earlier.set(key, present.version)
              } else assert.deepStrictEqual(entry, present)
            } else {
              const expected = action === "removeAny" ? undefined : version
              const isRemoved = yield* remove({ key, version: expected })
              assert.strictEqual(isRemoved, present !== undefined && (expected ?? present.version) === present.version)
              if (isRemoved && present !== undefined) {
                model.delete(key)
                earlier.set(key, present.version)
              }
            }
            assert.deepStrictEqual(yield* get(key), model.get(key))
          }
          assert.deepStrictEqual(yield* list(""), [...model.keys()].toSorted())
          assert.deepStrictEqual(yield* list("a"), [...model.keys()].filter((key) => key.startsWith("a")).toSorted())
        }).pipe(Effect.provide(layer)),
      { arbitrary: { runs: 12 } }
    )

    it.effect("loses no update of 30 fibers that read and write under the lock of a key", () =>
      Effect.gen(function*() {
        const { get, locked, put } = yield* TokenStore.TokenStore
        const addOne = locked(
          "counter",
          Effect.gen(function*() {
            const entry = yield* get("counter")
            yield* Effect.yieldNow
            const value = secret(`${Number(textOf(entry) ?? "0") + 1}`)
            return (yield* put({ key: "counter", value, version: entry?.version })).isSaved
          })
        )
        const saved = yield* Effect.all(Array.from({ length: 30 }, () => addOne), { concurrency: "unbounded" })
        assert.deepStrictEqual(new Set(saved), new Set([true]))
        assert.strictEqual(textOf(yield* get("counter")), "30")
      }).pipe(Effect.provide(layer)))

    it.effect("keeps what was saved under a lock, and frees the lock, however the locked effect ends", () =>
      Effect.gen(function*() {
        const { get, locked, put } = yield* TokenStore.TokenStore
        const save = (key: string) => put({ key, value: secret(key), version: undefined })
        const failed = yield* Effect.exit(locked("k", Effect.andThen(save("failure"), Effect.fail("stopped"))))
        assert.isTrue(Exit.isFailure(failed))
        yield* Effect.exit(locked("k", Effect.andThen(save("defect"), Effect.die("stopped"))))
        const saved = yield* Deferred.make<void>()
        const holder = yield* Effect.forkChild(
          locked(
            "k",
            save("interruption").pipe(Effect.andThen(Deferred.succeed(saved, undefined)), Effect.andThen(Effect.never))
          )
        )
        yield* Deferred.await(saved)
        yield* Fiber.interrupt(holder)
        for (const key of ["failure", "defect", "interruption"]) assert.strictEqual(textOf(yield* get(key)), key)
        assert.strictEqual(yield* locked("k", Effect.succeed("free")), "free")
      }).pipe(Effect.provide(layer)))

    it.effect("fails a caller that waits for 30 seconds for the lock of another", () =>
      Effect.gen(function*() {
        const { locked } = yield* TokenStore.TokenStore
        const isHeld = yield* Deferred.make<void>()
        const holder = yield* Effect.forkChild(
          locked("k", Effect.andThen(Deferred.succeed(isHeld, undefined), Effect.never))
        )
        yield* Deferred.await(isHeld)
        const waiting = yield* Effect.forkChild(Effect.flip(locked("k", Effect.void)), { startImmediately: true })
        yield* TestClock.adjust("29 seconds")
        assert.isUndefined(waiting.pollUnsafe())
        assert.strictEqual(yield* locked("other", Effect.succeed("free")), "free")
        yield* TestClock.adjust("1 second")
        const error = yield* Fiber.join(waiting)
        assert.deepInclude(error, { _tag: "TokenStoreFailed", operation: "lock", reason: "LockTimeout" })
        yield* Fiber.interrupt(holder)
      }).pipe(Effect.provide(layer)))

    it.effect("runs the operations of one lock within another lock", () =>
      Effect.gen(function*() {
        const { get, locked, put } = yield* TokenStore.TokenStore
        const inner = locked("inner", put({ key: "inner", value: secret("v"), version: undefined }))
        yield* locked("outer", Effect.all([inner, inner.pipe(Effect.andThen(get("inner")))]))
        assert.strictEqual(textOf(yield* get("inner")), "v")
      }).pipe(Effect.provide(layer)))
  })
}

describe("a failure of a token store", () => {
  const shows = (error: unknown) => [String(error), inspect(error, { depth: 9 }), JSON.stringify(error)].join()

  it.effect("holds no value of a broken entry, nor of an error that quotes one", () =>
    Effect.gen(function*() {
      const quoting = KeyValueStore.makeStringOnly({
        get: (key) => Effect.succeed(key.includes("token") ? "{\"value\":\"secret-text\"" : undefined),
        set: (_key, value) =>
          Effect.fail(new KeyValueStore.KeyValueStoreError({ message: value, method: "set", cause: new Error(value) })),
        remove: () => Effect.void,
        clear: Effect.void,
        size: Effect.succeed(1),
        keys: Effect.succeed([])
      })
      const over = (store: KeyValueStore.KeyValueStore) =>
        TokenStore.layerKeyValueStore().pipe(Layer.provide(Layer.succeed(KeyValueStore.KeyValueStore, store)))
      const broken = yield* TokenStore.TokenStore.pipe(
        Effect.flatMap(({ get }) => Effect.flip(get("k"))),
        Effect.provide(over(quoting))
      )
      assert.deepInclude(broken, { operation: "get", reason: "Broken" })
      assert.notInclude(shows(broken), "secret-text")
      const unwritable = yield* TokenStore.TokenStore.pipe(
        Effect.flatMap(({ put }) => Effect.flip(put({ key: "k", value: secret("secret-text"), version: undefined }))),
        Effect.provide(over({ ...quoting, get: () => Effect.undefined }))
      )
      assert.deepInclude(unwritable, { operation: "put", reason: "Unwritable", isRetryable: true })
      assert.notInclude(shows(unwritable), "secret-text")
    }))

  it.effect("names the table that a database refuses to make", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Effect.provide(
        TokenStore.TokenStore,
        TokenStore.layerSql({ table: "tokens" }).pipe(
          Layer.provide(Sqlite.layer(":memory:", ["PRAGMA query_only = 1"]))
        )
      ))
      assert.deepInclude(error, { operation: "open", reason: "Unwritable", code: "SQLite 8" })
      assert.include(error.message, "tokens")
    }))

  it.effect("tells that a value is too large, and keeps the entry", () =>
    Effect.gen(function*() {
      const { get, put } = yield* TokenStore.TokenStore
      const { entry } = yield* put({ key: "k", value: secret("small"), version: undefined })
      const value = secret("x".repeat(1_048_577))
      const error = yield* Effect.flip(put({ key: "k", value, version: entry?.version }))
      assert.strictEqual(error.reason, "TooLarge")
      assert.deepStrictEqual(yield* get("k"), entry)
    }).pipe(Effect.provide(sqliteMemory)))
})

describe("a token store over a key-value store", () => {
  it.effect("holds the lock that it was given while the effect runs", () => {
    const events: Array<string> = []
    const lock: TokenStore.Locked = (key, effect) =>
      Effect.sync(() => events.push(`lock ${key}`)).pipe(
        Effect.andThen(effect),
        Effect.ensuring(Effect.sync(() => events.push("unlock")))
      )
    return Effect.gen(function*() {
      const { locked } = yield* TokenStore.TokenStore
      yield* locked("k", Effect.sync(() => events.push("run")))
      assert.deepStrictEqual(events, ["lock k", "run", "unlock"])
    }).pipe(Effect.provide(TokenStore.layerKeyValueStore({ lock }).pipe(Layer.provide(KeyValueStore.layerMemory))))
  })
})
