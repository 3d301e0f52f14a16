// A program that signs nobody in.
import { McpSessions } from "@mcp-sessions/transports"

await using sessions = McpSessions.open({ servers: {} })
console.log(sessions.names.length)
