/**
 * Walks a paginated list on one connection, to its end or to the limits that a well-meaning server does not reach.
 */
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import type { Connection } from "../../Connection.ts"
import { InvalidResult, PaginationExceeded, type Reason } from "../../SessionError.ts"

/** More pages than this is no list any more. */
const maxPages = 100

/** More items than this fills memory rather than a need. */
const maxItems = 10_000

/**
 * Collects the items under `key` of all pages of `method`. They hold for as long as the first page says, in milliseconds; where
 * it does not, not at all.
 */
export const paginate = Effect.fnUntraced(function*<A>(options: {
  readonly connection: Connection
  readonly method: string
  readonly key: string
}): Effect.fn.Return<{ readonly items: ReadonlyArray<A>; readonly holdsFor: number }, Reason> {
  const { connection, key, method } = options
  const exceeded = (limit: string) => new PaginationExceeded({ method, limit })
  const items: Array<A> = []
  const seen = new Set<string>()
  let cursor: string | undefined
  let holdsFor = 0
  for (let page = 1; page <= maxPages; page++) {
    const result = yield* connection.request({ method, params: cursor === undefined ? undefined : { cursor } })
    const found = Predicate.isObject(result) ? (result as Record<string, unknown>)[key] : undefined
    const isList = Array.isArray(found) &&
      found.every((item: unknown) => Predicate.isObject(item) && "name" in item && typeof item.name === "string")
    if (!Predicate.isObject(result) || !isList) {
      return yield* new InvalidResult({
        method,
        description: `the result of ${method} is no list of ${key} with names`
      })
    }
    if (items.length + found.length > maxItems) return yield* exceeded(`more than ${maxItems} items`)
    if (page === 1 && "ttlMs" in result && typeof result.ttlMs === "number") holdsFor = result.ttlMs
    items.push(...found)
    const next: unknown = "nextCursor" in result ? result.nextCursor : undefined
    if (typeof next !== "string") return { items, holdsFor }
    if (seen.has(next)) return yield* exceeded("the same cursor came twice")
    seen.add(next)
    cursor = next
  }
  return yield* exceeded(`more than ${maxPages} pages`)
})
