/**
 * Fallback between several servers for one purpose: a primary with stand-ins, or replicas that share the load.
 *
 * {@link run} runs an operation on a session of the first fit server and fails over to the next one. {@link plan} offers the same
 * servers as an `ExecutionPlan`. Orders and the readmission policy are in `FallbackPolicy`.
 *
 * **Details**
 *
 * _Failover_ follows the delivery rule. A request that was not sent, a request that the server rejected, and a read may move to the
 * next server. A tool call that may have run does not move, and neither does an operation in which any tool has run, unless the tool
 * is known to be idempotent. An answer of the server, an error included, is the result. Each server is tried once; `retry` retries on
 * one server before the operation fails over.
 *
 * _Outlier detection_ ejects a server after more than 3 failures (`Health.maxErrors`), in a row or within a minute, and while its
 * circuit is open. Operations skip an ejected server. A background probe readmits it after `goodProbes` consecutive successes. A
 * server that is ejected again within 5 minutes needs twice as many, up to 16 times as many, so that a flapping server does not take
 * the traffic with it each time. A server without contact for 5 minutes (`Health.staleAfter`) is probed before it is used.
 *
 * _Panic mode_: while no server is fit, one operation per `panicWindow` uses the server with the fewest failures; the others fail at
 * once with `AllServersFailed`, which holds an error of each server.
 *
 * _Hedging_: with `hedgeAfter`, a slow operation also starts on the next server. The first success is the result, and the other
 * attempt is cancelled. Each hedge takes a token of that server's retry budget. A tool that is not known to be idempotent runs on one
 * server only: the first attempt that comes to the call continues alone.
 *
 * **Example** (Calling a tool on the first server that works)
 *
 * ```ts import.meta.vitest
 * import { Fallback, Sessions } from "@mcp-sessions/core"
 * import { Transports } from "@mcp-sessions/transports"
 * import { Effect, Layer } from "effect"
 *
 * const live = Sessions.layer({
 *   servers: {
 *     primary: { transport: "stdio", command: "not-installed", args: [] },
 *     secondary: { transport: "stdio", command: "mcp-server-everything", args: ["stdio"] }
 *   }
 * }).pipe(Layer.provide(Transports.layer))
 *
 * const program = Fallback.run(
 *   { servers: ["primary", "secondary"], hedgeAfter: "2 seconds" },
 *   (session) => session.callTool("get-sum", { a: 2, b: 3 })
 * )
 * const { content } = await Effect.runPromise(Effect.provide(program, live))
 * content // => [{ type: "text", text: "The sum of 2 and 3 is 5." }]
 * ```
 *
 * @since 0.1.0
 */
// @effect-diagnostics missingPipeableSignature:off - `run` takes its options first, and there is nothing to pipe.
import * as Effect from "effect/Effect"
import type { ExecutionPlan } from "effect/ExecutionPlan"
import type { ConfigError } from "./ConfigError.ts"
import type { AllServersFailed, CurrentSession, FallbackOptions } from "./FallbackPolicy.ts"
import type { Session } from "./Session.ts"
import type { SessionError } from "./SessionError.ts"
import { Sessions } from "./Sessions.ts"

/**
 * Runs an operation on a session of the first fit server, and on the next servers as far as the delivery rule allows.
 *
 * @category combinators
 * @since 0.1.0
 */
export const run = <A, E, R>(
  options: FallbackOptions,
  operation: (session: Session) => Effect.Effect<A, E, R>
): Effect.Effect<A, E | SessionError | ConfigError | AllServersFailed, R | Sessions> =>
  Effect.flatMap(Sessions, ({ withFallback }) => withFallback(options, operation))

/**
 * Makes an `ExecutionPlan` for programs that use `FallbackPolicy.CurrentSession`. The plan tries the servers in the order in which
 * they are listed, without hedging.
 *
 * **Example** (Running a program by a plan)
 *
 * ```ts import.meta.vitest
 * import { Fallback, FallbackPolicy, Sessions } from "@mcp-sessions/core"
 * import { Transports } from "@mcp-sessions/transports"
 * import { Effect, Layer } from "effect"
 *
 * const live = Sessions.layer({
 *   servers: {
 *     primary: { transport: "stdio", command: "not-installed", args: [] },
 *     secondary: { transport: "stdio", command: "mcp-server-everything", args: ["stdio"] }
 *   }
 * }).pipe(Layer.provide(Transports.layer))
 *
 * const program = Effect.gen(function*() {
 *   const session = yield* FallbackPolicy.CurrentSession
 *   return yield* session.callTool("get-sum", { a: 2, b: 3 })
 * })
 * const planned = Effect.flatMap(
 *   Fallback.plan({ servers: ["primary", "secondary"] }),
 *   (plan) => Effect.withExecutionPlan(program, plan)
 * )
 * const { content } = await Effect.runPromise(Effect.provide(planned, live))
 * content // => [{ type: "text", text: "The sum of 2 and 3 is 5." }]
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const plan = (options: Pick<FallbackOptions, "owner" | "retry" | "servers">): Effect.Effect<
  ExecutionPlan<{
    provides: CurrentSession
    input: unknown
    error: SessionError | ConfigError
    requirements: never
  }>,
  ConfigError,
  Sessions
> => Effect.flatMap(Sessions, ({ fallbackPlan }) => fallbackPlan(options))
