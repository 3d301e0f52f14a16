/**
 * Pagination: collects all pages of a list on one connection, within limits that a well-behaved server does not reach.
 */
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import type { Connection } from "../../Connection.ts"
import { InvalidResult, PaginationExceeded, type Reason } from "../../SessionError.ts"
import { isTooDeep } from "../jsonDepth.ts"
import { currentTraceMeta, withTraceMeta } from "../telemetry/traceContext.ts"

const maxPages = 100

const maxItems = 10_000

/** All items of a list. */
interface Listed<A> {
  readonly items: ReadonlyArray<A>
  /** How long they may be cached, in milliseconds, as the first page says; 0 if it does not say. */
  readonly validFor: number
  /** The positions of the items that were left out: without a text in each member that identifies one, or nested too deep. */
  readonly malformed: ReadonlyArray<number>
}

/**
 * Collects the items under `key` of all pages of `method`. Malformed items are left out: one of them must not cost a program all others.
 */
export const paginate = Effect.fnUntraced(function*<A>(options: {
  readonly connection: Connection
  readonly method: string
  readonly key: string
  readonly identifiedBy: ReadonlyArray<string>
}): Effect.fn.Return<Listed<A>, Reason> {
  const { connection, identifiedBy, key, method } = options
  const isItem = (item: unknown): item is A =>
    Predicate.isObject(item) &&
    identifiedBy.every((member) => typeof (item as Record<string, unknown>)[member] === "string") && !isTooDeep(item)
  const exceeded = (limit: string) => new PaginationExceeded({ method, limit })
  const trace = yield* currentTraceMeta
  const items: Array<A> = []
  const malformed: Array<number> = []
  let count = 0
  const seen = new Set<string>()
  let cursor: string | undefined
  let validFor = 0
  for (let page = 1; page <= maxPages; page++) {
    const result = yield* connection.request({
      method,
      params: withTraceMeta(cursor === undefined ? undefined : { cursor }, trace)
    })
    const found = Predicate.isObject(result) ? (result as Record<string, unknown>)[key] : undefined
    if (!Predicate.isObject(result) || !Array.isArray(found)) {
      return yield* new InvalidResult({ method, description: `the result of ${method} is not a list of ${key}` })
    }
    if (count + found.length > maxItems) return yield* exceeded(`more than ${maxItems} items`)
    if (page === 1 && "ttlMs" in result && typeof result.ttlMs === "number") validFor = result.ttlMs
    for (const item of found as ReadonlyArray<unknown>) {
      if (isItem(item)) items.push(item)
      else malformed.push(count)
      count++
    }
    const next: unknown = "nextCursor" in result ? result.nextCursor : undefined
    if (typeof next !== "string") return { items, validFor, malformed }
    if (seen.has(next)) return yield* exceeded("the same cursor twice")
    seen.add(next)
    cursor = next
  }
  return yield* exceeded(`more than ${maxPages} pages`)
})
