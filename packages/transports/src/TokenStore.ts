/**
 * Stores of secrets: {@link TokenStore} keeps the tokens and client registrations of `OAuth`, in memory, in files, or in a database.
 *
 * A store is small: it holds texts by key, replaces them by compare-and-swap, and locks a key while tokens are renewed. The layers of this
 * module are such stores; a program may provide its own.
 *
 * | layer                         | lives in                                 | shared by                                             |
 * | ----------------------------- | ---------------------------------------- | ----------------------------------------------------- |
 * | {@link layerMemory}           | this process                             | nothing                                               |
 * | {@link layerFile}             | a directory of the user, mode 0700       | the processes of the user on this machine             |
 * | {@link layerSql}              | a table of PostgreSQL or SQLite          | all processes that use the database                   |
 * | {@link layerKeyValueStore}    | a `KeyValueStore` of effect              | one process at a time, unless it is given a `lock`    |
 *
 * **Details**
 *
 * Values are `Redacted`, and no error holds one. They are stored as they are: anyone who can read the directory or the table can use them.
 *
 * **Example** (Saving, and losing to a newer writer)
 *
 * ```ts import.meta.vitest
 * import { TokenStore } from "@mcp-sessions/transports"
 * import { Effect, Redacted } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const store = yield* TokenStore.TokenStore
 *   const first = yield* store.put({ key: "k", value: Redacted.make("one"), version: undefined })
 *   yield* store.put({ key: "k", value: Redacted.make("two"), version: first.entry?.version })
 *   const late = yield* store.put({ key: "k", value: Redacted.make("late"), version: first.entry?.version })
 *   return { isSaved: late.isSaved, kept: late.entry && Redacted.value(late.entry.value) }
 * })
 * const outcome = await Effect.runPromise(Effect.provide(program, TokenStore.layerMemory))
 * outcome // => { isSaved: false, kept: "two" }
 * ```
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { KeyValueStore } from "effect/persistence/KeyValueStore"
import { SqlClient } from "effect/sql/SqlClient"
import * as fileStore from "./internal/tokenStore/fileStore.ts"
import * as keyValueStore from "./internal/tokenStore/keyValueStore.ts"
import * as memoryStore from "./internal/tokenStore/memoryStore.ts"
import * as sqlStore from "./internal/tokenStore/sqlStore.ts"
import { TokenStoreFailed } from "./internal/tokenStore/tokenStoreFailed.ts"
import type { Locked, Shape } from "./internal/tokenStore/tokenStorePort.ts"

export type {
  /**
   * A stored secret, and the version that names this write of it.
   *
   * @category models
   * @since 0.1.0
   */
  Entry
} from "./internal/tokenStore/entry.ts"

export type {
  /**
   * Runs an effect while no other fiber, and no other process that shares the store, runs one with this key.
   *
   * @category models
   * @since 0.1.0
   */
  Locked,
  /**
   * Saves a value in the place of the version that the caller has seen. `version: undefined` means that there must be no entry.
   *
   * @category models
   * @since 0.1.0
   */
  Put,
  /**
   * The outcome of a {@link Put}, and the entry that is in the store now.
   *
   * @category models
   * @since 0.1.0
   */
  PutResult
} from "./internal/tokenStore/tokenStorePort.ts"

export {
  /**
   * Fails the operations of a token store.
   *
   * | reason        | meaning                                                                                        |
   * | ------------- | ---------------------------------------------------------------------------------------------- |
   * | `Unreadable`  | the file system or the database refuses to read                                                |
   * | `Unwritable`  | it refuses to write, for example because the disk is full; the stored entry is as before       |
   * | `Broken`      | the entry is not one of ours; `remove` without a version removes it                            |
   * | `TooLarge`    | the entry is larger than 1 MiB                                                                 |
   * | `Exposed`     | the directory or the file belongs to another user, or others can use it and that cannot be changed |
   * | `LockTimeout` | another fiber or process has held the lock of the key for 30 seconds                           |
   * | `LockFailed`  | the lock cannot be taken at all                                                                |
   * | `Unsupported` | the database or the platform lacks what the store needs                                        |
   *
   * @category errors
   * @since 0.1.0
   */
  TokenStoreFailed
}

/**
 * Service that stores secrets by key.
 *
 * **Gotchas**
 *
 * Locks of one key do not nest: the inner one waits for the outer one, and fails with `LockTimeout`.
 *
 * @category services
 * @since 0.1.0
 */
export class TokenStore extends Context.Service<TokenStore, Shape>()("@mcp-sessions/transports/TokenStore") {}

/**
 * Layer that stores secrets in the memory of this process. They end with it.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerMemory: Layer.Layer<TokenStore> = Layer.sync(TokenStore, memoryStore.make)

/**
 * Layer that stores secrets in a directory, one file for each entry, for all processes of one user.
 *
 * Without a `directory` it is `mcp-sessions/tokens` where the platform keeps the state of programs: `$XDG_STATE_HOME` or `~/.local/state`,
 * `~/Library/Application Support` on macOS, `%LOCALAPPDATA%` on Windows.
 *
 * **Details**
 *
 * The directory has mode 0700 and the files 0600: others lose their rights on both when they are used. A write replaces the file as a whole,
 * so a process that dies leaves the old entry or the new one. Locks are those of the kernel, through `node:sqlite`, and are freed when
 * their holder dies.
 *
 * **Gotchas**
 *
 * Choose a directory on a local disk: locks on network file systems are not reliable. On Windows the rights are those of the directory that
 * it is created in.
 *
 * **Example** (Keeping tokens between runs of a program)
 *
 * ```ts import.meta.vitest
 * import { TokenStore } from "@mcp-sessions/transports"
 * import { Effect, Redacted } from "effect"
 * import { mkdtempSync } from "node:fs"
 * import { tmpdir } from "node:os"
 * import { join } from "node:path"
 *
 * const directory = join(mkdtempSync(join(tmpdir(), "tokens-")), "tokens")
 * const live = TokenStore.layerFile({ directory })
 *
 * const save = Effect.flatMap(TokenStore.TokenStore, (store) =>
 *   store.put({ key: "k", value: Redacted.make("secret"), version: undefined }))
 * await Effect.runPromise(Effect.provide(save, live))
 *
 * const load = Effect.flatMap(TokenStore.TokenStore, (store) => store.get("k"))
 * const entry = await Effect.runPromise(Effect.provide(load, live))
 * entry && Redacted.value(entry.value) // => "secret"
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerFile = (options?: {
  /** An absolute path, or one relative to the working directory. It is created if it is missing. */
  readonly directory?: string | undefined
}): Layer.Layer<TokenStore, TokenStoreFailed> => Layer.effect(TokenStore, fileStore.make(options?.directory))

/**
 * Layer that stores secrets in a `KeyValueStore` of effect.
 *
 * **Gotchas**
 *
 * A key-value store has neither compare-and-swap nor locks, so this layer does both for the fibers of one process. If several processes share
 * the store, bring a `lock` that keeps them apart, or use {@link layerSql}.
 *
 * **Example** (Storing in a key-value store)
 *
 * ```ts import.meta.vitest
 * import { TokenStore } from "@mcp-sessions/transports"
 * import { Effect, Layer, Redacted } from "effect"
 * import { KeyValueStore } from "effect/persistence"
 *
 * const live = TokenStore.layerKeyValueStore().pipe(Layer.provide(KeyValueStore.layerMemory))
 * const program = Effect.gen(function*() {
 *   const store = yield* TokenStore.TokenStore
 *   yield* store.put({ key: "tokens/a", value: Redacted.make("secret"), version: undefined })
 *   return yield* store.list("tokens/")
 * })
 * await Effect.runPromise(Effect.provide(program, live)) // => ["tokens/a"]
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerKeyValueStore = (options?: {
  /** Keeps the processes that share the store apart. It is held while tokens are renewed. */
  readonly lock?: Locked | undefined
}): Layer.Layer<TokenStore, never, KeyValueStore> =>
  Layer.effect(TokenStore, Effect.map(KeyValueStore, (store) => keyValueStore.make(store, options?.lock)))

/**
 * Layer that stores secrets in a table of the `SqlClient`: for server programs with many users. The table is created if it is missing.
 *
 * **Details**
 *
 * On PostgreSQL a lock is an advisory lock of a transaction, on a connection of its own for as long as tokens are renewed. What is saved under
 * a lock is committed when the lock ends, also if the locked effect fails. Statements do not take part in a transaction that the program
 * has open. On SQLite a lock is a file in the directory `<database>-locks`. Other databases fail with `Unsupported`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerSql = (options?: {
  /** The name of the table. The default is `mcp_sessions_tokens`. */
  readonly table?: string | undefined
}): Layer.Layer<TokenStore, TokenStoreFailed, SqlClient> =>
  Layer.effect(
    TokenStore,
    Effect.flatMap(SqlClient, (sql) => sqlStore.make(sql, options?.table ?? "mcp_sessions_tokens"))
  )
