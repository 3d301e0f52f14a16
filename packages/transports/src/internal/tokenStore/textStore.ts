/**
 * Token store over anything that holds texts by name, such as files.
 *
 * The name of an entry is the hash of its key, so the key is in the text. A compare-and-swap is a read and a write that nothing else
 * comes between.
 */
import * as Effect from "effect/Effect"
import * as Entry from "./entry.ts"
import { failure, type Operation, type TokenStoreFailed } from "./tokenStoreFailed.ts"
import type { Locked, Shape } from "./tokenStorePort.ts"

/** Texts by name. */
export interface Texts {
  readonly nameOf: (key: string) => string
  readonly read: (operation: Operation, name: string) => Effect.Effect<string | undefined, TokenStoreFailed>
  readonly write: (name: string, text: string) => Effect.Effect<void, TokenStoreFailed>
  /** Removes a text, and returns whether there was one. */
  readonly remove: (name: string) => Effect.Effect<boolean, TokenStoreFailed>
  readonly names: Effect.Effect<ReadonlyArray<string>, TokenStoreFailed>
}

/** Makes a token store. `exclusively` keeps the writers of one key apart; `locked` is for callers, who write while they hold it. */
export const make = (options: {
  readonly texts: Texts
  readonly exclusively: Locked
  readonly locked: Locked
}): Shape => {
  const { exclusively, locked, texts } = options

  const read = Effect.fnUntraced(function*(operation: Operation, name: string) {
    const text = yield* texts.read(operation, name)
    return text === undefined ? undefined : yield* Entry.decode({ text, operation, description: name })
  })

  const readEntry = Effect.fnUntraced(function*(operation: Operation, key: string) {
    const name = texts.nameOf(key)
    const found = yield* read(operation, name)
    if (found === undefined) return undefined
    if (found.key !== key) {
      return yield* failure({ operation, reason: "Broken", description: `${name} is the entry of another key` })
    }
    return { value: found.value, version: found.version }
  })

  return {
    get: (key) => readEntry("get", key),
    put: ({ key, value, version }) =>
      exclusively(
        key,
        Effect.gen(function*() {
          const current = yield* readEntry("put", key)
          if (current?.version !== version) return { isSaved: false, entry: current }
          const entry = { value, version: Entry.newVersion() }
          const name = texts.nameOf(key)
          const text = Entry.encode(key, entry)
          yield* Entry.checkSize(text, name)
          yield* texts.write(name, text)
          return { isSaved: true, entry }
        })
      ),
    remove: ({ key, version }) =>
      exclusively(
        key,
        Effect.gen(function*() {
          if (version !== undefined) {
            const current = yield* readEntry("remove", key)
            if (current?.version !== version) return false
          }
          return yield* texts.remove(texts.nameOf(key))
        })
      ),
    list: Effect.fnUntraced(function*(prefix) {
      const entries = yield* Effect.forEach(yield* texts.names, (name) => read("list", name))
      // An entry may be removed after its name was read.
      return entries.flatMap((entry) => entry?.key.startsWith(prefix) === true ? [entry.key] : []).toSorted()
    }),
    locked
  }
}
