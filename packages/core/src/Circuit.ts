/**
 * Circuit breaker of a server: stops connects and calls for a while after consecutive failures of its connections.
 *
 * While the circuit is open, connects and calls fail with `ServerDown` at once, and so do calls that wait for a connection or a permit when it
 * opens. When the open time ends, the server is probed: its success closes the circuit, its failure opens it again. Error responses of a server
 * never open the circuit.
 *
 * A failure is a failed connect, a lost connection, a timeout, or a response that shows that the server is down, such as HTTP 500. A request that
 * was sent before the latest counted failure does not count: requests that were in flight together fail for one cause. So any number of calls
 * that time out together is one failure. A response or a handshake starts the count anew.
 *
 * **Details**
 *
 * The probe is made in the background, while a session of the server is held or after a call was refused: a connect, or a ping if there is a
 * connection. A ping that is answered lets the next call through, which then decides. Without such a probe, the next call is the probe. There
 * is one probe at a time, so a server that is down gets no more attempts than the policy says, for any number of callers.
 *
 * Circuits are kept in memory. To share them between processes, provide a `CircuitBreakerStore` of `effect/persistence/CircuitBreaker`
 * to the layer of the sessions, for example the one on Redis. A process with an open connection learns that another process opened the
 * circuit at its next connect or failed call. After a store failed, or did not respond within half a
 * second, no call waits for it until it has answered a probe in the background; probes are at least a second apart. Meanwhile this process has
 * a circuit of its own, which starts closed in each outage.
 *
 * **Example** (Failing at once while a server is down)
 *
 * ```ts import.meta.vitest
 * import { RetryPolicy, Sessions } from "@mcp-sessions/core"
 * import { Transports } from "@mcp-sessions/transports"
 * import { Effect, Layer } from "effect"
 *
 * const live = Sessions.layer({
 *   servers: { files: { command: "not-installed" } },
 *   retry: RetryPolicy.never,
 *   circuit: { failures: 1, openFor: "1 minute" }
 * }).pipe(Layer.provide(Transports.layer))
 *
 * const program = Effect.gen(function*() {
 *   const { callTool, status } = yield* Sessions.Sessions
 *   const first = yield* Effect.flip(callTool("files", "list"))
 *   const second = yield* Effect.flip(callTool("files", "list"))
 *   const { circuit } = yield* status("files")
 *   return [first.reason._tag, second.reason._tag, circuit.state]
 * })
 * await Effect.runPromise(Effect.provide(program, live)) // => ["SpawnFailed", "ServerDown", "open"]
 * ```
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import * as Schedule from "effect/Schedule"

/**
 * Policy of a circuit: it opens after `failures` consecutive failures (`Infinity`: never) and stays open for `openFor`. A schedule
 * receives the number of openings.
 *
 * @category models
 * @since 0.1.0
 */
export interface CircuitPolicy {
  /**
   * Consecutive failures after which the circuit opens. Requests that were in flight when a failure was counted, and fail too, add nothing.
   * `Infinity`: it never opens.
   */
  readonly failures: number
  /** How long the circuit stays open. A schedule receives the number of openings. */
  readonly openFor: Duration.Input | Schedule.Schedule<unknown, number>
}

/**
 * Default policy: opens after 4 failures in a row, which is one operation with the default retry policy. Stays open for 0.9 seconds twice,
 * so that a short outage ends soon; then for 2 and 16 seconds, and for 1 minute each time after that. All vary by 20 %, so that clients
 * do not probe in step.
 *
 * @category defaults
 * @since 0.1.0
 */
export const circuitDefault: CircuitPolicy = {
  failures: 4,
  openFor: Schedule.min([
    Schedule.max([Schedule.exponential("31250 micros", 8), Schedule.spaced("900 millis")]),
    Schedule.spaced("1 minute")
  ]).pipe(Schedule.jittered)
}

/**
 * State of a circuit. `closed` admits all operations. `open` admits none until `retryAt` (milliseconds since the epoch); then the next
 * operation is a probe. `half-open` lasts while the probe runs. `ejected`: the program holds it open (`Sessions.eject`), until it readmits
 * the server.
 *
 * @category models
 * @since 0.1.0
 */
export type CircuitState =
  | { readonly state: "closed" }
  | { readonly state: "open"; readonly retryAt: number }
  | { readonly state: "half-open" }
  | { readonly state: "ejected" }

/**
 * Policy of a circuit that never opens.
 *
 * @category constructors
 * @since 0.1.0
 */
export const never: CircuitPolicy = { ...circuitDefault, failures: Number.POSITIVE_INFINITY }
