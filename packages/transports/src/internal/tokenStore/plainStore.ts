/**
 * Token store over a store of the program with plain or async functions, such as a `Map`.
 *
 * Writes of one key take turns within this process, as for a `KeyValueStore` of effect. Such a store lists no keys, and no authorization asks
 * for them.
 */
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import { nameOf } from "./entry.ts"
import * as KeyLock from "./keyLock.ts"
import * as TextStore from "./textStore.ts"
import { failure, type Operation, type Reason } from "./tokenStoreFailed.ts"
import type { Shape } from "./tokenStorePort.ts"

/**
 * A store of texts by key. A `Map<string, string>` is one.
 *
 * @category models
 * @since 0.1.0
 */
export interface PlainStore {
  /** Returns the text of a key, or `undefined` or `null` if the store lacks it. */
  readonly get: (key: string) => string | null | undefined | Promise<string | null | undefined>
  /** Saves a text. The next `get` of the key must give it. */
  readonly set: (key: string, text: string) => unknown
  /** Removes a text, if there is one. */
  readonly delete: (key: string) => unknown
}

const prefix = "mcp-sessions:token:"

export const isPlainStore = (value: unknown): value is PlainStore =>
  Predicate.isObject(value) &&
  ["get", "set", "delete"].every((name) => typeof (value as Record<string, unknown>)[name] === "function")

/** Makes a token store of a store of the program. An error of it may quote a value, so only its code is kept. */
export const make = (store: PlainStore): Shape => {
  const asked = <A>(operation: Operation, reason: Reason, ask: () => A | Promise<A>) =>
    Effect.tryPromise({
      try: () => Promise.resolve().then(ask),
      catch: (error) => failure({ operation, reason, description: "the store of the program failed", error })
    })
  const read = (operation: Operation, name: string) =>
    Effect.flatMap(asked(operation, "Unreadable", () => store.get(name)), (text: unknown) => {
      if (text === undefined || text === null) return Effect.undefined
      const description = "the store of the program gave no text"
      return Predicate.isString(text) ? Effect.succeed(text) : failure({ operation, reason: "Broken", description })
    })
  return TextStore.make({
    texts: {
      nameOf: (key) => `${prefix}${nameOf(key)}`,
      read,
      write: (name, text) => Effect.asVoid(asked("put", "Unwritable", () => store.set(name, text))),
      remove: (name) =>
        Effect.gen(function*() {
          const isThere = (yield* asked("remove", "Unreadable", () => store.get(name))) !== undefined
          yield* asked("remove", "Unwritable", () => store.delete(name))
          return isThere
        }),
      names: failure({
        operation: "list",
        reason: "Unsupported",
        description: "the store of the program lists no keys"
      })
    },
    exclusively: KeyLock.make(),
    locked: KeyLock.make()
  })
}
