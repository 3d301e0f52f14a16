/**
 * What can be observed of sessions from outside: counters in the metrics of Effect, and spans where a tracer is provided.
 *
 * **Details**
 *
 * Metrics are labelled by the name of the `server` alone, so that their number is that of the servers. They are kept as plain
 * numbers and read when someone looks, so a call pays next to nothing for them. All requests are those of operations: handshakes and
 * signs of life are not among them, and a list counts once for all its pages.
 *
 * | metric                             | kind    | counts                                                      |
 * | ---------------------------------- | ------- | ----------------------------------------------------------- |
 * | `mcp_sessions_operations_total`    | counter | what programs asked for: calls, lists, reads                |
 * | `mcp_sessions_requests_total`      | counter | what went out for that, each repetition again               |
 * | `mcp_sessions_connects_total`      | counter | tries to connect                                            |
 * | `mcp_sessions_fallbacks_total`     | counter | operations that moved on from the server to the next        |
 * | `mcp_sessions_in_flight_requests`  | gauge   | requests that are under way                                 |
 *
 * Spans are made if the `Tracer` of the program is another than Effect's own, which exports nothing; without one no call pays for
 * them. Each operation is a span of kind `client`, named by its method and its target (`tools/call get-sum`), with the attributes of
 * the OpenTelemetry conventions for MCP. Below it there is an `attempt` for each sending, and a `connection` for each time that it
 * waits for one. Taking a session is a span `Sessions.get`. Connecting itself is shared by all who wait for it and belongs to none of them: each try is a span `connect` of its
 * own, below the span in which the layer was built, and attempts link to the one that made their connection.
 *
 * @see https://opentelemetry.io/docs/specs/semconv/gen-ai/mcp/
 * @since 0.1.0
 */
import * as Metric from "effect/Metric"

/**
 * The metrics of one server.
 *
 * @category metrics
 * @since 0.1.0
 */
export const metrics = {
  operations: Metric.counter("mcp_sessions_operations_total", {
    description: "Operations that programs asked for",
    incremental: true
  }),
  requests: Metric.counter("mcp_sessions_requests_total", {
    description: "Requests that were sent for operations",
    incremental: true
  }),
  connects: Metric.counter("mcp_sessions_connects_total", {
    description: "Tries to connect",
    incremental: true
  }),
  fallbacks: Metric.counter("mcp_sessions_fallbacks_total", {
    description: "Operations that moved on to the next server",
    incremental: true
  }),
  inFlight: Metric.gauge("mcp_sessions_in_flight_requests", { description: "Requests that are under way" })
}
