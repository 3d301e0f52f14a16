/**
 * What is loaded first (`node --import`) into servers that listen. Whatever address they choose, it is a free port on
 * loopback, or the one that the variable LISTEN names; and they tell who started them, over IPC: the port, each socket that opens and closes, each session that is
 * handed out and how its `DELETE` was answered.
 */
import { Server as HttpServer } from "node:http"
import { Server } from "node:net"

const tell = (message) => process.send?.(message)

const listen = Server.prototype.listen

Server.prototype.listen = function(...args) {
  let opened = 0
  let open = 0
  this.once("listening", () => tell({ port: this.address().port }))
  this.on("connection", (socket) => {
    tell({ sockets: { opened: ++opened, open: ++open } })
    socket.once("close", () => tell({ sockets: { opened, open: --open } }))
  })
  if (this instanceof HttpServer) {
    this.on("request", ({ headers, method }, response) => {
      response.once("close", () => {
        // Headers that went out along with the status can be read nowhere else.
        const session = /^mcp-session-id: *(\S+)/im.exec(response._header)?.[1]
        if (session !== undefined) tell({ session })
        if (method === "DELETE") tell({ session: headers["mcp-session-id"], status: response.statusCode })
      })
    })
  }
  return listen.call(
    this,
    { host: "127.0.0.1", port: Number(process.env.LISTEN ?? 0) },
    args.findLast((arg) => typeof arg === "function")
  )
}
