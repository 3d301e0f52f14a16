/**
 * Audit queue: hands records to the audit one at a time and in order. Requests do not wait for the audit, and a slow one holds a bounded number of
 * records.
 */
import type * as Cause from "effect/Cause"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Metric from "effect/Metric"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import { type Fork, makeFork } from "../../scopedFork.ts"
import type { Audit, AuditRecord, Recorder } from "./audit.ts"

/** How many records may wait for the audit. */
export const auditCapacity = 10_000

/** How few records wait when a queue that was full is used again. */
const resumeSize = auditCapacity / 2

const dropped = Metric.counter("mcp_sessions_gateway_audit_dropped_total", {
  description: "Audit records that were dropped because the audit did not take them in time",
  incremental: true
})

class AuditQueue {
  readonly #queue: Queue.Queue<AuditRecord, Cause.Done>
  readonly #fork: Fork
  /** The records that were dropped since the queue became full; 0 while it takes records. */
  #dropped = 0
  #isEnded = false

  constructor(queue: Queue.Queue<AuditRecord, Cause.Done>, fork: Fork) {
    this.#queue = queue
    this.#fork = fork
  }

  readonly record: Recorder = (record) => {
    if (this.#isEnded) return void this.#fork(Metric.update(dropped, 1))
    if (this.#dropped > 0 && Queue.sizeUnsafe(this.#queue) <= resumeSize) {
      const count = this.#dropped
      this.#dropped = 0
      this.#fork(Effect.logWarning(`the audit takes records again: ${count} were dropped`))
    }
    if (this.#dropped === 0 && Queue.offerUnsafe(this.#queue, record)) return
    if (this.#dropped++ === 0) {
      this.#fork(
        Effect.logWarning(`the audit is too slow: it has ${auditCapacity} records to take, and new ones are dropped`)
      )
    }
    this.#fork(Metric.update(dropped, 1))
  }

  /** Gives records to the audit until the queue has ended and is empty. */
  run(audit: Audit): Effect.Effect<void> {
    return Queue.take(this.#queue).pipe(
      Effect.flatMap((record) =>
        // Neither an exception of the function itself nor an interruption by the audit ends the queue.
        Effect.catchCause(
          Effect.suspend(() => audit(record)),
          (cause) => Effect.logError("the audit failed to take a record", cause)
        )
      ),
      Effect.forever,
      Effect.ignore
    )
  }

  /** Waits until the audit has taken all records, but not longer than a limit. Records that are left are dropped. */
  end(running: Fiber.Fiber<void>, limit: Duration.Duration): Effect.Effect<void> {
    return Effect.gen({ self: this }, function*() {
      this.#isEnded = true
      Queue.endUnsafe(this.#queue)
      const ended = yield* Effect.timeoutOption(Fiber.await(running), limit)
      if (ended._tag === "Some") return
      // The audit may not be interruptible, so the end does not wait for it.
      running.interruptUnsafe()
      const left = Queue.sizeUnsafe(this.#queue)
      yield* Metric.update(dropped, left)
      yield* Effect.logWarning(`the audit did not end in time: ${left} records were dropped`)
    })
  }
}

/** Opens the queue of an audit for as long as the scope, whose end waits for the audit as long as `drainTimeout`. */
export const openAuditQueue = Effect.fnUntraced(function*({ audit, drainTimeout }: {
  readonly audit: Audit
  readonly drainTimeout: Duration.Duration
}): Effect.fn.Return<Recorder, never, Scope.Scope> {
  const fork = yield* makeFork
  const queue = new AuditQueue(yield* Queue.dropping<AuditRecord, Cause.Done>(auditCapacity), fork)
  yield* Effect.acquireRelease(
    Effect.forkDetach(queue.run(audit)),
    (running) => queue.end(running, drainTimeout)
  )
  return queue.record
})
