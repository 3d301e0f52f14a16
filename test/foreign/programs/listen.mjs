/**
 * Loaded first (`node --import`) into servers that listen. Makes them listen on a free port of the loopback, or on the port in the
 * variable LISTEN, and writes to the ledger LEDGER: the port, the sockets that open and close, the sessions that start, and the status
 * of the response to each `DELETE`.
 */
import { appendFileSync } from "node:fs"
import { Server as HttpServer } from "node:http"
import { Server } from "node:net"

const note = (line) => appendFileSync(process.env.LEDGER, `${line}\n`)

const listen = Server.prototype.listen

Server.prototype.listen = function(...args) {
  this.once("listening", () => note(`port ${this.address().port}`))
  this.on("connection", (socket) => {
    note(`opened ${socket.remotePort}`)
    socket.once("close", () => note(`closed ${socket.remotePort}`))
  })
  if (this instanceof HttpServer) {
    this.on("request", ({ headers, method }, response) => {
      response.once("close", () => {
        // Headers that were written together with the status are found only there.
        const session = /^mcp-session-id: *(\S+)/im.exec(response._header)?.[1]
        if (session !== undefined) note(`session ${session}`)
        if (method === "DELETE") note(`deleted ${headers["mcp-session-id"]} ${response.statusCode}`)
      })
    })
  }
  return listen.call(
    this,
    { host: "127.0.0.1", port: Number(process.env.LISTEN ?? 0) },
    args.findLast((arg) => typeof arg === "function")
  )
}
