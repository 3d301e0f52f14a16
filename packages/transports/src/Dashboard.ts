/**
 * Dashboard: a web page that shows and controls sessions, for the person who runs the program. `Gateway` has the same page (option `ui`).
 *
 * **Details**
 *
 * The page shows the servers with their state, health, latencies, restarts, circuit and latest error, the sessions by owner, and each call when it ends. It calls tools
 * through a form, restarts, ejects and readmits servers, and starts sign-ins.
 *
 * The dashboard listens on 127.0.0.1. The URL contains a secret that can be used once, to get a cookie. Everything except the empty page needs that cookie. After the URL
 * was used, `onUrl` receives the next one. Requests from other origins are refused.
 *
 * **Example** (Watching the sessions of a program)
 *
 * ```ts import.meta.vitest
 * import { Sessions } from "@mcp-sessions/core"
 * import { Dashboard, Transports } from "@mcp-sessions/transports"
 * import { Effect, Layer } from "effect"
 *
 * const live = Sessions.layer({
 *   servers: { everything: { command: "mcp-server-everything", args: ["stdio"] } }
 * }).pipe(Layer.provide(Transports.layer))
 *
 * let url = ""
 * const program = Effect.gen(function*() {
 *   const page = yield* Dashboard.serve({
 *     sessions: yield* Sessions.Sessions,
 *     title: "my program",
 *     onUrl: (opened) => Effect.sync(() => url = opened)
 *   })
 *   // The page logs the calls on these sessions.
 *   yield* page.sessions.callTool("everything", "echo", { message: "hi" })
 * }).pipe(Effect.scoped)
 * await Effect.runPromise(Effect.provide(program, live))
 * /^http:\/\/127\.0\.0\.1:\d+\/ui#[\w-]{43}$/.test(url) // => true
 * ```
 *
 * @since 0.1.0
 */
import type { ConfigError } from "@mcp-sessions/core/ConfigError"
import * as HealthWatch from "@mcp-sessions/core/HealthWatch"
import { CurrentOwner } from "@mcp-sessions/core/Owner"
import { Sessions } from "@mcp-sessions/core/Sessions"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { ListenFailed } from "./Gateway.ts"
import type { Backend } from "./internal/dashboard/backend.ts"
import { type Observe, observedSession } from "./internal/dashboard/observedSession.ts"
import { PageServer } from "./internal/dashboard/pageServer.ts"
import { watchOf } from "./internal/dashboard/watch.ts"
import { Admission } from "./internal/gateway/admission/admission.ts"
import { Challenges } from "./internal/gateway/admission/challenges.ts"
import { listen, type Route } from "./internal/gateway/endpoint/listener.ts"
import type { CannotListen } from "./internal/gateway/http/httpServer.ts"
import { toRpcError } from "./internal/gateway/protocol/failures.ts"
import { EventStreams } from "./internal/gateway/streams/eventStreams.ts"
import { readTimeOfDay } from "./internal/oauth/timeOfDay.ts"
import { makeFork } from "./internal/scopedFork.ts"
import { checkKeys, keysOf } from "./internal/unknownKeys.ts"

/**
 * Options of a dashboard.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** The sessions that the page shows. */
  readonly sessions: Sessions["Service"]
  /** The title of the page: at most 200 characters. */
  readonly title: string
  /** The servers that are shown. Default: all. */
  readonly servers?: ReadonlyArray<string> | undefined
  /** The port to listen on; 0 takes a free one. Default: 0. */
  readonly port?: number | undefined
  /** Receives the URL that opens the page. Called at the start, and again with the next URL each time that a URL was used. */
  readonly onUrl: (url: string) => Effect.Effect<void>
}

const known = keysOf<Options>({ onUrl: true, port: true, servers: true, sessions: true, title: true })

const host = "127.0.0.1"

/** The principal of all requests to the page. */
const principal = "user"

const titleLimit = 200

const observe = (sessions: Sessions["Service"], onCall: Observe): Sessions["Service"] => {
  const get: Sessions["Service"]["get"] = (server, options) =>
    Effect.map(sessions.get(server, options), (session) => observedSession(session, onCall))
  return {
    ...sessions,
    get,
    use: (server, f, options) => Effect.scoped(Effect.flatMap(get(server, options), f)),
    callTool: ((
      ...[server, tool, args, options]: Parameters<Sessions["Service"]["callTool"]>
    ) => {
      const { owner, ...call } = options ?? {}
      return Effect.scoped(Effect.flatMap(get(server, { owner }), (session) => session.callTool(tool, args, call)))
    }) as Sessions["Service"]["callTool"]
  }
}

/**
 * Serves the page until the scope closes. Returns sessions whose calls the page shows. Fails with `ListenFailed` if the port cannot be used, and
 * with `ConfigError` if an option is unknown.
 *
 * @category running
 * @since 0.1.0
 */
export const serve = Effect.fnUntraced(function*(
  options: Options
): Effect.fn.Return<{ readonly sessions: Sessions["Service"] }, ConfigError | ListenFailed, Scope.Scope> {
  yield* checkKeys({ options, known })
  const { onUrl, port: wanted = 0, servers, sessions, title } = options
  const clock = yield* Clock.Clock
  const fork = yield* makeFork
  const { eject, names, readmit, restart, signIn, status } = sessions
  const found: { page: PageServer | undefined } = { page: undefined }
  const observed = observe(sessions, (call) => found.page?.feed.record({ ...call, principal }))
  const shown = servers ?? names
  const backend: Backend = {
    title: title.slice(0, titleLimit),
    isOperator: () => true,
    servers: shown,
    watch: watchOf({
      servers: shown,
      watch: (watched) => HealthWatch.watch(watched).pipe(Effect.scoped, Effect.provideService(Sessions, sessions))
    }),
    status,
    restart,
    eject,
    readmit,
    signIn,
    clients: () => [{
      owner: Context.get(Context.empty(), CurrentOwner),
      principal: undefined,
      label: "commands",
      inFlight: 0
    }],
    tools: (_, server) => sessions.use(server, (session) => session.listTools()),
    call: ({ args, server, tool }) => Effect.mapError(observed.callTool(server, tool, args), toRpcError)
  }
  const timeOfDay = yield* readTimeOfDay
  const streams = yield* EventStreams.make(timeOfDay)
  const now = () => Number(clock.monotonicTimeNanosUnsafe() / 1_000_000n)
  const page = new PageServer({ backend, streams, now, timeOfDay, fork, onUrl, isAnonymous: true })
  found.page = page
  const admission = new Admission({
    host,
    allowedHosts: [],
    allowedOrigins: [],
    tokens: {},
    accessTokens: undefined,
    challenges: new Challenges({ metadataUrl: undefined, scopes: [], onRefusal: () => {} }),
    fork
  })
  const routeOf = (path: string): Route | undefined => {
    if (path === page.enter.path) return { _tag: "Guarded", handle: page.enter.handle }
    const handle = page.routeOf(path)
    return handle && { _tag: "Public", handle }
  }
  const { port, refuseConnections } = yield* listen({
    host,
    port: wanted,
    serve: () => ({ admission, routeOf })
  }).pipe(Effect.mapError(({ code }: CannotListen) => new ListenFailed({ host, port: wanted, code })))
  page.start({ origin: `http://${host}:${port}`, port })
  yield* Effect.addFinalizer(() =>
    Effect.andThen(
      refuseConnections,
      Effect.sync(() => {
        page.feed.close()
        streams.close()
      })
    )
  )
  return { sessions: observed }
})
