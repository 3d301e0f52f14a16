/**
 * Token store over a `KeyValueStore` of effect.
 *
 * Such a store has no compare-and-swap, so writes of one key take turns within this process. Only a lock that the caller brings keeps
 * processes apart.
 */
import * as Effect from "effect/Effect"
import type { KeyValueStore, KeyValueStoreError } from "effect/persistence/KeyValueStore"
import { nameOf } from "./entry.ts"
import * as KeyLock from "./keyLock.ts"
import * as TextStore from "./textStore.ts"
import { failure, type Operation, type Reason } from "./tokenStoreFailed.ts"
import type { Locked, Shape } from "./tokenStorePort.ts"

const prefix = "mcp-sessions:token:"

/** An error of a store may quote a value, so only its code is kept. */
const failed = (operation: Operation, reason: Reason, name: string) => (error: KeyValueStoreError) =>
  failure({ operation, reason, description: `the key-value store failed on ${name}`, error })

/** Makes a token store in a key-value store. `lock` keeps processes apart; without it, `locked` does so for fibers only. */
export const make = (store: KeyValueStore, lock: Locked | undefined): Shape => {
  const ownLock = KeyLock.make()
  return TextStore.make({
    texts: {
      nameOf: (key) => `${prefix}${nameOf(key)}`,
      read: (operation, name) => Effect.mapError(store.get(name), failed(operation, "Unreadable", name)),
      write: (name, text) => Effect.mapError(store.set(name, text), failed("put", "Unwritable", name)),
      remove: Effect.fnUntraced(
        function*(name) {
          const isThere = yield* store.has(name)
          if (isThere) yield* store.remove(name)
          return isThere
        },
        (effect, name) => Effect.mapError(effect, failed("remove", "Unwritable", name))
      ),
      names: store.keys.pipe(
        Effect.map((names) => names.filter((name) => name.startsWith(prefix))),
        Effect.mapError(failed("list", "Unreadable", "its keys"))
      )
    },
    exclusively: KeyLock.make(),
    locked: lock === undefined ? ownLock : (key, effect) => ownLock(key, lock(key, effect))
  })
}
