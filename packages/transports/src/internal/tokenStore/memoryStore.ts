/**
 * Token store in the memory of this process.
 */
import * as Effect from "effect/Effect"
import { type Entry, newVersion } from "./entry.ts"
import * as KeyLock from "./keyLock.ts"
import type { Shape } from "./tokenStorePort.ts"

/** Makes an empty store. */
export const make = (): Shape => {
  const entries = new Map<string, Entry>()
  return {
    get: (key) => Effect.sync(() => entries.get(key)),
    put: ({ key, value, version }) =>
      Effect.sync(() => {
        const current = entries.get(key)
        if (current?.version !== version) return { isSaved: false, entry: current }
        const entry = { value, version: newVersion() }
        entries.set(key, entry)
        return { isSaved: true, entry }
      }),
    remove: ({ key, version }) =>
      Effect.sync(() => (version === undefined || entries.get(key)?.version === version) && entries.delete(key)),
    list: (prefix) => Effect.sync(() => [...entries.keys()].filter((key) => key.startsWith(prefix)).toSorted()),
    locked: KeyLock.make()
  }
}
