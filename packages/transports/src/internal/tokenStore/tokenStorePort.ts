/**
 * Port of a token store: its operations, for the service and its implementations.
 */
import type * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import type { Entry } from "./entry.ts"
import type { TokenStoreFailed } from "./tokenStoreFailed.ts"

/** Saves a value in the place of the version that the caller has seen. */
export interface Put {
  /** The key of the entry. */
  readonly key: string
  /** The secret to save. */
  readonly value: Redacted.Redacted<string>
  /** The version that is replaced; `undefined`: there must be no entry. */
  readonly version: string | undefined
}

/** The outcome of a {@link Put}. */
export interface PutResult {
  /** Whether the value was saved. If not, another writer was first. */
  readonly isSaved: boolean
  /** The entry that is in the store now. If `isSaved` is false, it is of another writer; `undefined`: it was removed. */
  readonly entry: Entry | undefined
}

/** Runs an effect while no other fiber, and no other process that shares the store, runs one with this key. */
export type Locked = <A, E, R>(
  key: string,
  effect: Effect.Effect<A, E, R>
) => Effect.Effect<A, E | TokenStoreFailed, R>

/** The operations of a token store. */
export interface Shape {
  /** Reads an entry. */
  readonly get: (key: string) => Effect.Effect<Entry | undefined, TokenStoreFailed>
  /**
   * Saves if the stored version is still `version`. Otherwise the stored entry stays, and is returned, so that a late writer does not
   * overwrite what a newer one saved.
   */
  readonly put: (options: Put) => Effect.Effect<PutResult, TokenStoreFailed>
  /**
   * Removes an entry if its version is still `version`, or whatever is there if `version` is `undefined`, a broken entry included. Returns
   * whether an entry was removed.
   */
  readonly remove: (options: {
    readonly key: string
    readonly version: string | undefined
  }) => Effect.Effect<boolean, TokenStoreFailed>
  /** Lists the keys that begin with a prefix, sorted. */
  readonly list: (prefix: string) => Effect.Effect<ReadonlyArray<string>, TokenStoreFailed>
  /**
   * Runs an effect while no other fiber, and no other process that shares the store, runs one with this key. Waits at most 30 seconds for
   * the lock. Locks of one key do not nest.
   */
  readonly locked: Locked
}
