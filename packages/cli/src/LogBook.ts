/**
 * Log book: what servers log, as MCP messages and on stderr, kept for readers that come later.
 *
 * @since 0.1.0
 */
import type { Handlers } from "@mcp-sessions/core/ClientHandlers"
import type { LogLevel } from "@mcp-sessions/core/Notification"
import type * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"

/**
 * An entry: a log message of a server, or a line that its process wrote to stderr.
 *
 * @category models
 * @since 0.1.0
 */
export type Entry =
  | {
    readonly source: "mcp"
    readonly server: string
    readonly time: number
    readonly level: LogLevel
    readonly logger: string | undefined
    readonly data: unknown
  }
  | { readonly source: "stderr"; readonly server: string; readonly time: number; readonly line: string }

/**
 * A log book.
 *
 * @category models
 * @since 0.1.0
 */
export interface LogBook {
  /** Handlers that write into the book. */
  readonly handlers: Pick<Handlers, "logging" | "stderr">
  /** Takes the entries that are kept, and all later ones, for as long as the scope. */
  readonly subscribe: Effect.Effect<Queue.Queue<Entry, Cause.Done>, never, Scope.Scope>
  /** The entries that are kept. */
  readonly kept: Effect.Effect<ReadonlyArray<Entry>>
}

/** How many entries are kept, and how many wait for a slow reader: the latest. */
const capacity = 1000

/**
 * Makes a log book for messages of `level` and above.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (level: LogLevel): Effect.Effect<LogBook> =>
  Effect.map(Clock.Clock, (clock) => {
    const kept: Array<Entry> = []
    const readers = new Set<Queue.Enqueue<Entry, Cause.Done>>()
    const add = (entry: Entry) => {
      if (kept.push(entry) > capacity) kept.shift()
      for (const reader of readers) Queue.offerUnsafe(reader, entry)
    }
    const subscribe = Effect.gen(function*() {
      const queue = yield* Queue.sliding<Entry, Cause.Done>(capacity)
      yield* Effect.acquireRelease(
        Effect.sync(() => {
          for (const entry of kept) Queue.offerUnsafe(queue, entry)
          readers.add(queue)
        }),
        () => Effect.sync(() => readers.delete(queue))
      )
      return queue
    })
    return {
      handlers: {
        logging: {
          level,
          handle: ({ data, level, logger }, { server }) =>
            Effect.map(Clock.currentTimeMillis, (time) => add({ source: "mcp", server, time, level, logger, data }))
        },
        stderr: (line, { server }) => add({ source: "stderr", server, time: clock.currentTimeMillisUnsafe(), line })
      },
      subscribe,
      kept: Effect.sync(() => [...kept])
    }
  })
