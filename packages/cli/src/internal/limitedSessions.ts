/**
 * Held sessions with the time limit and the retry policy of one command.
 */
import type { RetryPolicy } from "@mcp-sessions/core/RetryPolicy"
import type { List, Session } from "@mcp-sessions/core/Session"
import { ConnectTimeout, type Reason, RequestTimeout, SessionError } from "@mcp-sessions/core/SessionError"
import type { Sessions } from "@mcp-sessions/core/Sessions"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"

type Service = Sessions["Service"]

interface Limits {
  readonly limit: Duration.Duration
  readonly retry: RetryPolicy
  /** The time limit of each request to a server, as it is defined. */
  readonly requestTimeout: (server: string) => Duration.Duration
}

/** Fails with a timeout at the limit. */
const within = ({ limit }: Limits, server: string, reason: Reason) => <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.timeoutOrElse(effect, {
    duration: limit,
    orElse: () => Effect.fail(new SessionError({ server, reason }))
  })

const limitSession = (session: Session, limits: Limits): Session => {
  const { retry } = limits
  const { server } = session
  const timeout = Duration.min(limits.limit, limits.requestTimeout(server))
  const millis = Duration.toMillis(limits.limit)
  const limited = <O extends object>(options: O | undefined) => ({ timeout, retry, ...options })
  const list = <A>(items: List<A>) => ((options) => items(limited(options))) as List<A>
  return {
    server,
    connect: session.connect.pipe(within(limits, server, new ConnectTimeout({ timeout: millis }))),
    generation: session.generation,
    state: session.state,
    stateChanges: session.stateChanges,
    listTools: list(session.listTools),
    callTool:
      ((...[tool, args, options]: Parameters<Session["callTool"]>) =>
        session.callTool(tool, args, limited(options))) as Session["callTool"],
    listResources: list(session.listResources),
    listResourceTemplates: list(session.listResourceTemplates),
    readResource: ((uri, options) => session.readResource(uri, limited(options))) as Session["readResource"],
    listPrompts: list(session.listPrompts),
    getPrompt: ((prompt, args, options) => session.getPrompt(prompt, args, limited(options))) as Session["getPrompt"],
    complete: ((reference, argument, options) => session.complete(reference, argument, limited(options))) as Session[
      "complete"
    ],
    notifications: session.notifications,
    subscribe: session.subscribe,
    watchTools: session.watchTools,
    watchResources: session.watchResources,
    watchResourceTemplates: session.watchResourceTemplates,
    watchPrompts: session.watchPrompts,
    setLogLevel: session.setLogLevel,
    ping: session.ping.pipe(
      within(limits, server, new RequestTimeout({ method: "ping", timeout: millis, delivery: "Unknown" }))
    )
  }
}

/** Gives sessions whose connects and requests take at most as long as a command may take, and are retried as it says. */
export const limitSessions = (...[sessions, limits]: readonly [sessions: Service, limits: Limits]): Service => {
  const get: Service["get"] = (server, options) =>
    sessions.get(server, options).pipe(
      within(limits, server, new ConnectTimeout({ timeout: Duration.toMillis(limits.limit) })),
      Effect.map((session) => limitSession(session, limits))
    )
  return {
    ...sessions,
    get,
    use: (server, f, options) => Effect.scoped(Effect.flatMap(get(server, options), f)),
    callTool: ((...[server, tool, args, options]: Parameters<Service["callTool"]>) => {
      const { owner, ...call } = options ?? {}
      return Effect.scoped(Effect.flatMap(get(server, { owner }), (session) => session.callTool(tool, args, call)))
    }) as Service["callTool"]
  }
}
