/**
 * An MCP server over stdio that keeps a shopping cart for its session. The process ends in the middle of a checkout, as crashing servers do.
 */
import { McpServer } from "@modelcontextprotocol/server"
import { serveStdio } from "@modelcontextprotocol/server/stdio"
import { Schema } from "effect"

const cart: Array<string> = []
const text = (text: string) => ({ content: [{ type: "text" as const, text }] })

serveStdio(() => {
  const server = new McpServer({ name: "cart", version: "1.0.0" })
  const inputSchema = Schema.toStandardJSONSchemaV1(Schema.toStandardSchemaV1(Schema.Struct({ item: Schema.String })))
  server.registerTool("add", { description: "Adds an item to the cart", inputSchema }, ({ item }) => {
    cart.push(item)
    return text(cart.join(", "))
  })
  server.registerTool("clear", { description: "Empties the cart" }, () => {
    cart.length = 0
    return text("empty")
  })
  server.registerTool("list", { description: "Lists the items of the cart" }, () => text(cart.join(", ") || "empty"))
  server.registerTool("checkout", { description: "Buys the items of the cart" }, () => process.exit(1))
  return server
})
