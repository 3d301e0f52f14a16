/**
 * Pagination: collects all pages of a list on one connection, within limits that a well-behaved server does not reach.
 */
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import type { Connection } from "../../Connection.ts"
import { InvalidResult, PaginationExceeded, type Reason } from "../../SessionError.ts"
import { currentTraceMeta, withTraceMeta } from "../telemetry/traceContext.ts"

const maxPages = 100

const maxItems = 10_000

/**
 * Collects the items under `key` of all pages of `method`. `validFor` is how long they may be cached, in milliseconds, as the first page
 * says; 0 if it does not say.
 */
export const paginate = Effect.fnUntraced(function*<A>(options: {
  readonly connection: Connection
  readonly method: string
  readonly key: string
}): Effect.fn.Return<{ readonly items: ReadonlyArray<A>; readonly validFor: number }, Reason> {
  const { connection, key, method } = options
  const exceeded = (limit: string) => new PaginationExceeded({ method, limit })
  const trace = yield* currentTraceMeta
  const items: Array<A> = []
  const seen = new Set<string>()
  let cursor: string | undefined
  let validFor = 0
  for (let page = 1; page <= maxPages; page++) {
    const result = yield* connection.request({
      method,
      params: withTraceMeta(cursor === undefined ? undefined : { cursor }, trace)
    })
    const found = Predicate.isObject(result) ? (result as Record<string, unknown>)[key] : undefined
    const isList = Array.isArray(found) &&
      found.every((item: unknown) => Predicate.isObject(item) && "name" in item && typeof item.name === "string")
    if (!Predicate.isObject(result) || !isList) {
      const description = `the result of ${method} is not a list of ${key} with names`
      return yield* new InvalidResult({ method, description })
    }
    if (items.length + found.length > maxItems) return yield* exceeded(`more than ${maxItems} items`)
    if (page === 1 && "ttlMs" in result && typeof result.ttlMs === "number") validFor = result.ttlMs
    items.push(...found)
    const next: unknown = "nextCursor" in result ? result.nextCursor : undefined
    if (typeof next !== "string") return { items, validFor }
    if (seen.has(next)) return yield* exceeded("the same cursor twice")
    seen.add(next)
    cursor = next
  }
  return yield* exceeded(`more than ${maxPages} pages`)
})
