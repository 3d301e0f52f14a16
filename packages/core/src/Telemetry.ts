/**
 * Telemetry of sessions: metrics of Effect for each server, and spans if a tracer is provided.
 *
 * **Details**
 *
 * The only label of a metric is `server`, so the number of series is bounded. Metrics are plain counters that are read on demand, so they
 * add little to the cost of a call. They count operations of programs and their requests, not handshakes or pings. A list with several
 * pages counts once.
 *
 * | metric                                       | kind    | counts                                                       |
 * | -------------------------------------------- | ------- | ------------------------------------------------------------ |
 * | `mcp_sessions_operations_total`              | counter | operations of programs: calls, lists, reads                  |
 * | `mcp_sessions_requests_total`                | counter | requests sent for these operations, retries included         |
 * | `mcp_sessions_connects_total`                | counter | attempts to connect                                          |
 * | `mcp_sessions_fallbacks_total`               | counter | operations that failed over from this server to the next     |
 * | `mcp_sessions_dropped_notifications_total`   | counter | notifications that were dropped because a listener was slow  |
 * | `mcp_sessions_in_flight_requests`            | gauge   | requests in flight                                           |
 *
 * Spans are created only if the program provides a `Tracer` in place of Effect's default one. Each operation is a span of kind `client`,
 * named by its method and target (`tools/call get-sum`), with the attributes of the OpenTelemetry conventions for MCP. Its children are
 * an `attempt` for each request and a `connection` for each wait for a connection. Taking a session is a span `Sessions.get`. Callers share
 * connect attempts, so each attempt is a span `connect` below the span in which the layer was built. The span of a request links to the
 * `connect` span of its connection.
 *
 * @see https://opentelemetry.io/docs/specs/semconv/gen-ai/mcp/
 * @since 0.1.0
 */
import * as Metric from "effect/Metric"

/**
 * Metrics, labelled by server.
 *
 * @category metrics
 * @since 0.1.0
 */
export const metrics = {
  operations: Metric.counter("mcp_sessions_operations_total", {
    description: "Operations of programs",
    incremental: true
  }),
  requests: Metric.counter("mcp_sessions_requests_total", {
    description: "Requests sent for operations, retries included",
    incremental: true
  }),
  connects: Metric.counter("mcp_sessions_connects_total", {
    description: "Attempts to connect",
    incremental: true
  }),
  fallbacks: Metric.counter("mcp_sessions_fallbacks_total", {
    description: "Operations that failed over to the next server",
    incremental: true
  }),
  droppedNotifications: Metric.counter("mcp_sessions_dropped_notifications_total", {
    description: "Notifications dropped because a listener was slow",
    incremental: true
  }),
  inFlight: Metric.gauge("mcp_sessions_in_flight_requests", { description: "Requests in flight" })
}
