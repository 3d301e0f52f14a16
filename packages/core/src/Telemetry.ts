/**
 * Telemetry of sessions: the names of all metrics, spans, attributes and logs, and the trace context that travels in messages.
 *
 * **Details**
 *
 * Provide a tracer, such as `Otlp.layerJson` of `effect/observability`, to the program and to the layer of the sessions: operations become
 * spans, and servers receive the trace context in `params._meta`. Without a tracer, there are no spans, and a call costs what it costs without
 * this module. Metrics are always counted, in plain numbers that exporters read.
 *
 * Names and attributes follow the OpenTelemetry conventions for MCP; what they do not define begins with `mcp_sessions_` or is listed in
 * {@link attributes}. `docs/telemetry.md` has the tables and recipes.
 *
 * @see https://github.com/open-telemetry/semantic-conventions-genai/blob/main/docs/gen-ai/mcp.md
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Headers from "effect/http/Headers"
import * as HttpTraceContext from "effect/http/HttpTraceContext"
import * as Metric from "effect/Metric"
import * as Option from "effect/Option"
import type * as Tracer from "effect/Tracer"

/**
 * Upper bounds of the buckets of both durations, in seconds, as the conventions define them.
 *
 * @category metrics
 * @since 0.1.0
 */
export const durationBuckets: ReadonlyArray<number> = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300]

const counter = (name: string, description: string): Metric.Counter<number> =>
  Metric.counter(`mcp_sessions_${name}_total`, { description, incremental: true })

const gauge = (name: string, description: string): Metric.Gauge<number> =>
  Metric.gauge(`mcp_sessions_${name}`, { description })

const duration = (name: string, description: string): Metric.Histogram<number> =>
  Metric.histogram(`mcp.client.${name}.duration`, { description, boundaries: durationBuckets })

/**
 * All metrics. Each series has the attribute `mcp.server`; a series appears with its first event, and a gauge disappears with the sessions that it
 * measures. The two durations also have the attributes of the conventions and the attribute `unit`, which exporters read. A list of several pages
 * is one request.
 *
 * **Example** (Reading a counter)
 *
 * ```ts import.meta.vitest
 * import { Sessions, Telemetry } from "@mcp-sessions/core"
 * import { Transports } from "@mcp-sessions/transports"
 * import { Effect, Layer, Metric } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const { callTool } = yield* Sessions.Sessions
 *   yield* callTool("counted", "echo", { message: "hi" })
 *   const requests = Metric.withAttributes(Telemetry.metrics.requests, { "mcp.server": "counted" })
 *   return (yield* Metric.value(requests)).count
 * })
 * const live = Sessions.layer({
 *   servers: { counted: { command: "mcp-server-everything", args: ["stdio"] } }
 * }).pipe(Layer.provide(Transports.layer))
 *
 * await Effect.runPromise(Effect.provide(program, live)) // => 1
 * ```
 *
 * @category metrics
 * @since 0.1.0
 */
export const metrics = {
  operationDuration: duration("operation", "Duration of requests, from sending to the response, failures included"),
  sessionDuration: duration("session", "Duration of connections, from the handshake to the loss or the close"),
  operations: counter("operations", "Operations of programs: calls, lists, reads"),
  requests: counter("requests", "Requests sent for operations, retries included"),
  retries: counter("retries", "Attempts of operations after their first"),
  connects: counter("connects", "Attempts to connect"),
  opens: counter("opens", "Connections that were opened"),
  reconnects: counter("reconnects", "Connections that were opened in place of an earlier one"),
  losses: counter("losses", "Connections that were lost"),
  queued: counter("queued_requests", "Requests that waited for a permit or a rate limit"),
  refused: counter("refused_requests", "Requests that a full queue, a rate limit or an open circuit refused"),
  circuitOpens: counter("circuit_opens", "Times that the circuit opened"),
  circuitCloses: counter("circuit_closes", "Times that the circuit closed"),
  ejections: counter("ejections", "Times that fallback or the program ejected the server"),
  readmissions: counter("readmissions", "Times that fallback or the program readmitted the server"),
  fallbacks: counter("fallbacks", "Operations that failed over from the server to the next"),
  poolLeases: counter("pool_leases", "Sessions that pools leased"),
  poolTimeouts: counter("pool_timeouts", "Callers that waited for a session of a pool in vain"),
  cleanupFailures: counter("cleanup_failures", "Connections that did not close cleanly or in time"),
  droppedNotifications: counter("dropped_notifications", "Notifications dropped for slow listeners"),
  inFlight: gauge("in_flight_requests", "Requests in flight"),
  openCircuits: gauge("open_circuits", "Open circuits: 1 while the server is not called"),
  poolSessions: gauge("pool_sessions", "Sessions of pools"),
  poolLeased: gauge("pool_leased_sessions", "Sessions of pools that are leased"),
  poolWaiting: gauge("pool_waiting_callers", "Callers that wait for a session of a pool")
} as const

/**
 * Units of the metrics, by UCUM: `s` for seconds, a word in braces for a count of such things.
 *
 * @category metrics
 * @since 0.1.0
 */
export const units: Readonly<Record<keyof typeof metrics, string>> = {
  operationDuration: "s",
  sessionDuration: "s",
  operations: "{operation}",
  requests: "{request}",
  retries: "{attempt}",
  connects: "{attempt}",
  opens: "{connection}",
  reconnects: "{connection}",
  losses: "{connection}",
  queued: "{request}",
  refused: "{request}",
  circuitOpens: "{change}",
  circuitCloses: "{change}",
  ejections: "{change}",
  readmissions: "{change}",
  fallbacks: "{operation}",
  poolLeases: "{lease}",
  poolTimeouts: "{lease}",
  cleanupFailures: "{connection}",
  droppedNotifications: "{notification}",
  inFlight: "{request}",
  openCircuits: "{circuit}",
  poolSessions: "{session}",
  poolLeased: "{session}",
  poolWaiting: "{caller}"
}

/**
 * All spans. `name` is the pattern of the name; `below` is the parent.
 *
 * @category spans
 * @since 0.1.0
 */
export const spans = {
  operation: {
    name: "{mcp.method.name} {target}",
    kind: "client",
    below: "the span of the caller",
    description: "One operation with all its attempts. The target is the tool or the prompt, if there is one"
  },
  attempt: {
    name: "attempt",
    kind: "internal",
    below: "the operation, or `connect`",
    description:
      "One request on one connection, or one attempt to connect. A request links to the `connect` of its connection"
  },
  connection: {
    name: "connection",
    kind: "internal",
    below: "the operation",
    description: "The wait for a connection. Links to the `connect` that made it"
  },
  connect: {
    name: "connect",
    kind: "client",
    below: "the span in which the layer was built",
    description: "The attempts to connect of one policy. Callers share it, so it is below none of them"
  },
  get: {
    name: "Sessions.get",
    kind: "internal",
    below: "the span of the caller",
    description: "Taking a session, the wait for its connection included"
  },
  serverRequest: {
    name: "{mcp.method.name}",
    kind: "server",
    below: "the span that the server names in `_meta`, else the request that the server asks on behalf of",
    description: "A handler of the client at work: sampling, elicitation, roots"
  }
} as const

/**
 * All attributes of spans and metrics. Those before `mcp.server` are of the conventions.
 *
 * @category spans
 * @since 0.1.0
 */
export const attributes = {
  methodName: { name: "mcp.method.name", description: "The method, such as `tools/call`" },
  toolName: { name: "gen_ai.tool.name", description: "The tool of a call" },
  operationName: { name: "gen_ai.operation.name", description: "`execute_tool` for a tool call" },
  promptName: { name: "gen_ai.prompt.name", description: "The prompt of `prompts/get`" },
  resourceUri: {
    name: "mcp.resource.uri",
    description: "The URI of `resources/read`, without user, query and fragment. Spans only"
  },
  protocolVersion: { name: "mcp.protocol.version", description: "The negotiated revision" },
  sessionId: { name: "mcp.session.id", description: "The id that an HTTP server of the legacy era gave. Spans only" },
  requestId: { name: "jsonrpc.request.id", description: "The id of the request. Spans only" },
  errorType: {
    name: "error.type",
    description: "The code of a JSON-RPC error, `tool_error` for a result that is one, else the tag of the reason"
  },
  statusCode: { name: "rpc.response.status_code", description: "The code of a JSON-RPC error" },
  transport: { name: "network.transport", description: "`pipe` for stdio, else `tcp`" },
  protocolName: { name: "network.protocol.name", description: "`http` or `websocket`" },
  serverAddress: { name: "server.address", description: "The host of the URL of the definition" },
  serverPort: { name: "server.port", description: "The port of the URL" },
  server: { name: "mcp.server", description: "The name of the definition" },
  kind: { name: "mcp.transport", description: "The transport of the definition. Spans only" },
  attempt: { name: "mcp.attempt", description: "The number of the attempt, from 1. Spans only" },
  generation: { name: "mcp.generation", description: "The number of the connection, from 1. Spans and logs" },
  delivery: { name: "mcp.delivery", description: "How far a failed request got: `NotSent` to `Answered`. Spans only" },
  owner: { name: "mcp.owner", description: "A hash of the owner: 8 hexadecimal digits. Logs only" }
} as const

/**
 * Logs of state changes, of level `Debug`, one for each change. They have the annotations `mcp.server`, and `mcp.owner` and
 * `mcp.generation` where one connection is concerned. Set `References.MinimumLogLevel` for the layer of the sessions to see them.
 *
 * @category logs
 * @since 0.1.0
 */
export const logs = {
  connected: { message: "connected", when: "the first connection of an owner was opened" },
  reconnected: { message: "reconnected", when: "a connection was opened in place of an earlier one" },
  connectFailed: { message: "could not connect", when: "one attempt to connect failed" },
  lost: { message: "lost the connection", when: "the connection was lost" },
  retired: { message: "retired the connection", when: "the connection was replaced for its age, or by a restart" },
  unresponsive: {
    message: "the server may be unresponsive",
    when: "a request timed out, or the connection is quiet: the server is pinged"
  },
  responsive: { message: "the server responds again", when: "the server answered the ping" },
  down: { message: "the server is down", when: "the circuit or the start limit refuses to connect" },
  closed: { message: "closed", when: "the sessions of the owner were closed" },
  circuitOpened: {
    message: "the circuit opened",
    when: "the server failed too often in a row, and is not called for a while"
  },
  circuitClosed: { message: "the circuit closed", when: "the server is called again" },
  ejected: { message: "ejected from fallback", when: "fallback passes the server over" },
  readmitted: { message: "readmitted to fallback", when: "fallback uses the server again" },
  withdrawn: { message: "ejected", when: "the program ejected the server, which is not called until it is readmitted" },
  restored: { message: "readmitted", when: "the program readmitted the server" }
} as const

/**
 * Trace context beside the span: `tracestate` and `baggage` in the formats of W3C. Both are sent with requests below a span, and are read from
 * requests of servers. Values that are no printable ASCII, a `tracestate` of more than 512 characters and a `baggage` of more than 8192 are left
 * out.
 *
 * @category models
 * @since 0.1.0
 */
export interface TraceContext {
  /** State of the tracing systems, in the format of the W3C header: at most 512 characters. */
  readonly tracestate?: string | undefined
  /** Properties of the program, in the format of the W3C header: at most 8192 characters. */
  readonly baggage?: string | undefined
}

/**
 * Reference to the trace context that requests send beside the span. Handlers of requests of a server run with that of the server. Default:
 * empty.
 *
 * @category references
 * @since 0.1.0
 */
export const CurrentTraceContext: Context.Reference<TraceContext> = Context.Reference<TraceContext>(
  "@mcp-sessions/core/Telemetry/CurrentTraceContext",
  { defaultValue: () => ({}) }
)

/**
 * Reads a `traceparent` in the format of W3C, such as `00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01`. Returns the span that it names;
 * `undefined` for any other value.
 *
 * @see https://www.w3.org/TR/trace-context/#traceparent-header
 * @category constructors
 * @since 0.1.0
 */
export const fromTraceparent = (value: unknown): Tracer.ExternalSpan | undefined =>
  typeof value === "string"
    ? Option.getOrUndefined(HttpTraceContext.w3c(Headers.fromRecordUnsafe({ traceparent: value })))
    : undefined
