/**
 * Stdio endpoint: one client of the revisions up to 2025-11-25, on the standard streams of this process.
 *
 * @see https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#stdio
 */
import type { JSONRPCMessage } from "@modelcontextprotocol/client"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import process from "node:process"
import { messagesIn } from "../jsonRpc/inboundReader.ts"
import type { Catalog } from "./catalog.ts"
import type { Clients } from "./clients.ts"
import type { ClientSession, Reply } from "./clientSession.ts"
import { type Dispatcher, isRequest } from "./dispatcher.ts"
import { badInitialize, initialized, wishesOf } from "./handshake.ts"
import { codes, encodeError, encodeResult, RpcError } from "./rpc.ts"

/** The principal of the client. */
const principal = "stdio"

const notInitialized = new RpcError({ code: codes.invalidRequest, message: "the client has not initialized" })

export interface StdioOptions {
  readonly catalog: Catalog
  readonly clients: Clients
  readonly dispatcher: Dispatcher
  readonly serverInfo: { readonly name: string; readonly version: string }
  /** The longest line, in characters. A longer one ends the endpoint. */
  readonly maxLineLength: number
  readonly fork: <A, E>(effect: Effect.Effect<A, E>) => Fiber.Fiber<A, E>
}

/** Writes a message on a line of its own: JSON has no line breaks. */
const write = (message: string): void => void process.stdout.write(`${message}\n`)

const reply: Reply = {
  related: (message) => {
    write(message)
    return true
  },
  settle: (message) => {
    if (message !== undefined) write(message)
  }
}

/** Serves the client until its input ends. */
export const serveStdio = (
  { catalog, clients, dispatcher, fork, maxLineLength, serverInfo }: StdioOptions
): Effect.Effect<void> =>
  Effect.callback((resume) => {
    let client: ClientSession | undefined
    let rest = ""

    const initialize = (id: string | number, params: unknown): void => {
      const wishes = wishesOf(params)
      if (wishes === undefined) return write(encodeError(id, badInitialize))
      if (client !== undefined) {
        const error = new RpcError({ code: codes.invalidRequest, message: "the client has initialized already" })
        return write(encodeError(id, error))
      }
      fork(clients.make({ principal, ...wishes })).addObserver((exit) => {
        const made = Exit.isSuccess(exit) ? exit.value : undefined
        if (made === undefined) return
        client = made
        made.output = write
        write(encodeResult(id, initialized({ catalog, serverInfo, protocolVersion: wishes.protocolVersion })))
      })
    }

    const receive = (message: JSONRPCMessage): void => {
      if (isRequest(message) && message.method === "initialize") return initialize(message.id, message.params)
      if (client !== undefined) {
        if (isRequest(message)) dispatcher.run(client, message, reply)
        else dispatcher.take(client, message)
      } else if (isRequest(message)) {
        // A client that knows a later revision asks for it first, and goes on with `initialize`.
        const isKnown = message.method === "ping"
        const error = new RpcError({ code: codes.methodNotFound, message: `unknown method ${message.method}` })
        if (isKnown) write(encodeResult(message.id, {}))
        else write(encodeError(message.id, message.method === "server/discover" ? error : notInitialized))
      }
    }

    const end = () => resume(Effect.void)
    const onData = (chunk: string): void => {
      const lines = (rest + chunk).split("\n")
      rest = lines.pop() ?? ""
      for (const line of lines) for (const message of messagesIn(line)) receive(message)
      if (rest.length > maxLineLength) end()
    }
    process.stdin.setEncoding("utf8")
    process.stdin.on("data", onData).once("end", end).once("error", end)
    // The client is gone.
    process.stdout.once("error", end)
    return Effect.sync(() => {
      process.stdin.off("data", onData).off("end", end).off("error", end).pause()
    })
  })
