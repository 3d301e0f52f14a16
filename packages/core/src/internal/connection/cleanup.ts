/**
 * Closes connections: each on its own, in bounded time, with a report.
 *
 * Closing may take as long as the slowest process does. Only the scope of the managed connection waits for it, for
 * `Cleanup.closeTimeout` at most.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import { type CleanupReport, closeTimeout } from "../../Cleanup.ts"
import * as monotonic from "../monotonic.ts"

/** What has to be closed. `generation` is 0 for a connection whose attempt failed. */
interface Closeable {
  readonly scope: Scope.Closeable
  readonly generation: number
  /** Ends the requests that are still in flight once it is closed. */
  readonly abandon?: () => void
}

export class Cleanup {
  readonly #server: string
  readonly #onCleanup: (report: CleanupReport) => Effect.Effect<void>
  readonly #open = new Set<Closeable>()
  readonly #running = new Set<Fiber.Fiber<CleanupReport>>()

  constructor(options: {
    readonly server: string
    readonly onCleanup: (report: CleanupReport) => Effect.Effect<void>
  }) {
    this.#server = options.server
    this.#onCleanup = options.onCleanup
  }

  /** Takes on a connection: `finish` closes it if nothing has before. */
  opened(closeable: Closeable): void {
    this.#open.add(closeable)
  }

  /** Closes a connection in the background. */
  start(closeable: Closeable): Effect.Effect<Fiber.Fiber<CleanupReport>> {
    return Effect.suspend(() => {
      this.#open.delete(closeable)
      return Effect.map(Effect.forkDetach(this.#close(closeable), { startImmediately: true }), (fiber) => {
        this.#running.add(fiber)
        fiber.addObserver(() => this.#running.delete(fiber))
        return fiber
      })
    })
  }

  /** Closes all open connections, and waits for all that are being closed. Fails with the cause of the first that failed to close. */
  get finish(): Effect.Effect<void> {
    return Effect.gen({ self: this }, function*() {
      const latest = yield* Effect.forEach([...this.#open], (closeable) => this.start(closeable))
      const reports = yield* Fiber.joinAll(new Set([...this.#running, ...latest]))
      for (const { cause } of reports) {
        if (cause !== undefined) return yield* Effect.failCause(cause)
      }
    })
  }

  #close(closeable: Closeable): Effect.Effect<CleanupReport> {
    return Effect.gen({ self: this }, function*() {
      const { generation, scope } = closeable
      const startedAt = yield* monotonic.now
      // In a fiber of its own: a finalizer that hangs cannot be interrupted, but the wait for it can.
      const closing = yield* Effect.forkDetach(Scope.close(scope, Exit.void), { startImmediately: true })
      const exit = Option.getOrUndefined(yield* Effect.timeoutOption(Fiber.await(closing), closeTimeout))
      closeable.abandon?.()
      const report: CleanupReport = {
        server: this.#server,
        generation,
        outcome: exit === undefined ? "timed-out" : Exit.isSuccess(exit) ? "closed" : "failed",
        cause: exit !== undefined && Exit.isFailure(exit) ? exit.cause : undefined,
        millis: (yield* monotonic.now) - startedAt
      }
      yield* this.#tell(report)
      return report
    })
  }

  /** The receiver belongs to the program. Whatever it does, the connection is closed, and closing ends. */
  #tell(report: CleanupReport): Effect.Effect<void> {
    return Effect.gen({ self: this }, function*() {
      const told = Effect.catchCause(
        Effect.suspend(() => {
          const telling = this.#onCleanup(report)
          return Effect.isEffect(telling) ? telling : Effect.void
        }),
        (cause) => Effect.logError(`the report of a closed connection to ${this.#server} failed`, cause)
      )
      const telling = yield* Effect.forkDetach(told, { startImmediately: true })
      if (Option.isSome(yield* Effect.timeoutOption(Fiber.await(telling), closeTimeout))) return
      telling.interruptUnsafe()
      yield* Effect.logWarning(`the report of a closed connection to ${this.#server} did not end in time`)
    })
  }
}
