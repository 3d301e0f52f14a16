/**
 * Translates an entry of a configuration file into a definition for the decoder.
 */
import * as Predicate from "effect/Predicate"
import { UnfamiliarKey } from "../../ConfigWarning.ts"
import { knownKeys } from "../config/decodeServer.ts"
import type { Client } from "./client.ts"
import { Draft, type EntryPlace } from "./draft.ts"

type Entry = Readonly<Record<string, unknown>>

/** Keys that other keys depend on come first. */
const inOrder = (entry: Entry): ReadonlyArray<readonly [key: string, value: unknown]> => {
  const isFirst = (key: string) => key === "type" || key === "transport"
  return Object.entries(entry).toSorted(([a], [b]) => Number(isFirst(b)) - Number(isFirst(a)))
}

/** Programs write empty values for what a server does not have. */
const isEmpty = (value: unknown): boolean =>
  value === null || Array.isArray(value) && value.length === 0 ||
  Predicate.isObject(value) && Object.keys(value).length === 0

/** Translates the entry of a client. With `isStrict`, the decoder gets every key, and refuses those that it does not know. */
export const normalise = (options: {
  readonly client: Client
  readonly isStrict: boolean
  readonly entry: Entry
  readonly place: EntryPlace
}): Draft => {
  const { client, entry, isStrict, place } = options
  const draft = new Draft(place)
  for (const [key, value] of inOrder(entry)) {
    const rule = Object.hasOwn(client.keys, key) ? client.keys[key] : undefined
    const isKnown = rule !== undefined || isStrict || knownKeys.includes(key)
    if (isKnown && !isStrict && isEmpty(value)) continue
    if (rule !== undefined) rule(draft, key, value)
    else if (isKnown) draft.set(key, value, [key])
    else {
      const validNames = [...new Set([...Object.keys(client.keys), ...knownKeys])]
      draft.warnings.push(new UnfamiliarKey({ ...draft.at([key]), key, validNames }))
    }
  }
  return draft
}
