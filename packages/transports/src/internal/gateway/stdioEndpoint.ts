/**
 * Stdio endpoint: one client of any revision, on the standard streams of this process. Each request says whether it is of 2026-07-28.
 *
 * @see https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#stdio
 */
import type { JSONRPCMessage } from "@modelcontextprotocol/client"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import process from "node:process"
import { messagesIn } from "../jsonRpc/inboundReader.ts"
import type { Reply } from "./clientCall.ts"
import type { ClientSession } from "./clientSession.ts"
import { isRequest } from "./dispatcher.ts"
import { withExactArguments } from "./exactArguments.ts"
import { badInitialize, initialized, wishesOf } from "./handshake.ts"
import { revisionOf } from "./modernMessage.ts"
import { ModernStdio, type ModernStdioOptions } from "./modernStdio.ts"
import { codes, encodeError, encodeResult, RpcError } from "./rpc.ts"

/** The principal of the client. */
const principal = "stdio"

const notInitialized = new RpcError({ code: codes.invalidRequest, message: "the client has not initialized" })

export interface StdioOptions extends Omit<ModernStdioOptions, "principal" | "write"> {
  /** The longest line, in characters. A longer one ends the endpoint. */
  readonly maxLineLength: number
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
export const serveStdio = (options: StdioOptions): Effect.Effect<void> =>
  Effect.callback((resume) => {
    const { clients, dispatcher, fork, maxLineLength } = options
    const modern = new ModernStdio({ ...options, principal, write })
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
        made.output.channel = write
        write(encodeResult(id, initialized({ ...options, protocolVersion: wishes.protocolVersion })))
      })
    }

    const receive = (message: JSONRPCMessage): void => {
      if (isRequest(message) && revisionOf(message) !== undefined) return modern.handle(message)
      if (isRequest(message) && message.method === "initialize") return initialize(message.id, message.params)
      if (!isRequest(message)) modern.take(message)
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

    const end = () => {
      modern.close()
      resume(Effect.void)
    }
    const onData = (chunk: string): void => {
      const lines = (rest + chunk).split("\n")
      rest = lines.pop() ?? ""
      for (const line of lines) for (const message of withExactArguments(messagesIn(line), line)) receive(message)
      if (rest.length > maxLineLength) end()
    }
    process.stdin.setEncoding("utf8")
    process.stdin.on("data", onData).once("end", end).once("error", end)
    // The client is gone.
    process.stdout.once("error", end)
    return Effect.sync(() => {
      modern.close()
      process.stdin.off("data", onData).off("end", end).off("error", end).pause()
    })
  })
