/**
 * Loaded first (`node --import`) into servers that listen. Makes them listen on a free port of the loopback, or on the port in the
 * variable LISTEN, and reports over IPC: the port, the sockets that open and close, the sessions that start, and the status of the
 * response to each `DELETE`.
 */
import { Server as HttpServer } from "node:http"
import { Server } from "node:net"

const report = (message) => process.send?.(message)

const listen = Server.prototype.listen

Server.prototype.listen = function(...args) {
  let opened = 0
  let open = 0
  this.once("listening", () => report({ port: this.address().port }))
  this.on("connection", (socket) => {
    report({ sockets: { opened: ++opened, open: ++open } })
    socket.once("close", () => report({ sockets: { opened, open: --open } }))
  })
  if (this instanceof HttpServer) {
    this.on("request", ({ headers, method }, response) => {
      response.once("close", () => {
        // Headers that were written together with the status are found only there.
        const session = /^mcp-session-id: *(\S+)/im.exec(response._header)?.[1]
        if (session !== undefined) report({ session })
        if (method === "DELETE") report({ session: headers["mcp-session-id"], status: response.statusCode })
      })
    })
  }
  return listen.call(
    this,
    { host: "127.0.0.1", port: Number(process.env.LISTEN ?? 0) },
    args.findLast((arg) => typeof arg === "function")
  )
}
