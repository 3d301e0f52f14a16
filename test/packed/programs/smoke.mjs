// Uses every transport once, in plain JavaScript, and prints the texts of the results: `smoke.mjs NODE SERVER LEDGER PORT`. Runs in a project that
// has nothing but the packed packages. Port 1 of loopback stands for a server that is down.
import { isSessionError, McpSessions, text } from "@mcp-sessions/transports"

const [node, server, ledger, port] = process.argv.slice(2)
const retry = { times: 0, delay: 0 }
const sessions = McpSessions.open({
  servers: {
    stdio: { command: node, args: [server, ledger, "stdio"] },
    http: { url: `http://127.0.0.1:${port}/mcp` },
    websocket: { url: `ws://127.0.0.1:${port}/` },
    down: { url: "http://127.0.0.1:1/mcp" },
    downSocket: { url: "ws://127.0.0.1:1/" },
    blocked: { url: `http://127.0.0.1:${port}/mcp`, addresses: "public" }
  },
  retry
})
const said = []
for (const name of ["stdio", "http", "websocket"]) {
  said.push(text(await sessions.callTool(name, "echo", { message: name })))
}
const progress = []
const onProgress = (report) => progress.push(report.message)
said.push(text(await sessions.callTool("http", "slow", { message: "streamed" }, { onProgress })), ...progress)
for (const name of ["down", "downSocket", "blocked"]) {
  await sessions.callTool(name, "echo", { message: name }).then(
    () => said.push("answered"),
    (error) => said.push(isSessionError(error) ? error.reason._tag : String(error))
  )
}
await sessions.close()
console.log(said.join(" "))
