/**
 * An MCP server over HTTP that wants a token, and the authorization server that gives one to the client `robot`.
 */
import { toNodeHandler } from "@modelcontextprotocol/node"
import { createMcpHandler, McpServer } from "@modelcontextprotocol/server"
import { Effect, type Scope } from "effect"
import { once } from "node:events"
import { createServer, type Server } from "node:http"
import type { AddressInfo } from "node:net"

const mcp = toNodeHandler(createMcpHandler(() => {
  const server = new McpServer({ name: "reports", version: "1.0.0" })
  server.registerTool("latest", {}, () => ({ content: [{ type: "text", text: "all is well" }] }))
  return server
}))

const robot = `Basic ${Buffer.from("robot:robot-secret").toString("base64")}`

const listen = async (): Promise<Server> => {
  const server = createServer((request, response) => {
    const origin = `http://${request.headers.host}`
    const json = (status: number, body: unknown) =>
      response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body))
    switch (request.url) {
      case "/.well-known/oauth-protected-resource/mcp":
        return json(200, { resource: `${origin}/mcp`, authorization_servers: [origin] })
      case "/.well-known/oauth-authorization-server":
        return json(200, {
          issuer: origin,
          authorization_endpoint: `${origin}/authorize`,
          token_endpoint: `${origin}/token`,
          response_types_supported: ["code"],
          code_challenge_methods_supported: ["S256"]
        })
      case "/token":
        return request.headers.authorization === robot
          ? json(200, { access_token: "token-of-robot", token_type: "Bearer", expires_in: 3600 })
          : json(401, { error: "invalid_client" })
      case "/mcp":
        return request.headers.authorization === "Bearer token-of-robot"
          ? mcp(request as Parameters<typeof mcp>[0], response)
          : response.writeHead(401, { "www-authenticate": "Bearer" }).end()
      default:
        return response.writeHead(404).end()
    }
  }).listen(0, "127.0.0.1")
  await once(server, "listening")
  return server
}

/** Starts both until the scope closes. Gives the URL of the MCP server. */
export const start: Effect.Effect<string, never, Scope.Scope> = Effect.acquireRelease(
  Effect.promise(listen),
  (server) =>
    Effect.callback<void>((resume) => {
      server.close(() => resume(Effect.void))
      server.closeAllConnections()
    })
).pipe(Effect.map((server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`))
