/**
 * The client that the official conformance suite drives: `client.mjs URL`, in an environment that names the scenario.
 *
 * With a socket in `CONFORMANCE_SOCKET` the scenario runs in the process that listens there ({@link ./suite.ts}), and this one starts at once,
 * as it loads nothing: the suite starts all clients at the same time, and gives each 30 seconds.
 */
import { once } from "node:events"
import { connect } from "node:net"
import { text } from "node:stream/consumers"

const { CONFORMANCE_SOCKET, MCP_CONFORMANCE_CONTEXT, MCP_CONFORMANCE_PROTOCOL_VERSION, MCP_CONFORMANCE_SCENARIO } =
  process.env

const scenario = {
  url: process.argv[2] ?? "",
  name: MCP_CONFORMANCE_SCENARIO ?? "",
  revision: MCP_CONFORMANCE_PROTOCOL_VERSION ?? "",
  context: JSON.parse(MCP_CONFORMANCE_CONTEXT ?? "{}")
}

if (CONFORMANCE_SOCKET === undefined) {
  const { runScenario } = await import("./scenario.ts")
  await runScenario(scenario)
} else {
  const socket = connect(CONFORMANCE_SOCKET)
  await once(socket, "connect")
  socket.end(JSON.stringify(scenario))
  const failure = await text(socket)
  if (failure !== "") {
    console.error(failure)
    process.exitCode = 1
  }
}
