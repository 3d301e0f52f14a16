/**
 * A WebSocket, on `effect/socket`, as a channel.
 */
import type { ServerConfig } from "@mcp-sessions/core/ServerConfig"
import { MessageTooLarge, type Reason, TransportClosed, TransportFailed } from "@mcp-sessions/core/SessionError"
import * as Effect from "effect/Effect"
import * as Record from "effect/Record"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import * as Socket from "effect/socket/Socket"
import { type Dispatcher, WebSocket } from "undici"
import type { Channel } from "./channel.ts"
import { classifyNetwork } from "./sdkError.ts"
import { WebSocketTransport } from "./webSocketTransport.ts"

/** The close code for a message that is too big. */
const tooBig = 1009

type Config = Extract<ServerConfig, { readonly transport: "websocket" }>

/** The errors of a socket hide the system's in an event. */
const causeOf = (error: Socket.SocketError): unknown => {
  const cause: unknown = "cause" in error.reason ? error.reason.cause : error
  return typeof cause === "object" && cause !== null && "error" in cause ? cause.error : cause
}

const reasonOf = (error: Socket.SocketError, config: Config) => (delivery: "NotSent" | "Unknown"): Reason => {
  const { reason } = error
  if (reason._tag === "SocketCloseError") {
    return reason.code === tooBig
      ? new MessageTooLarge({ limit: config.maxMessageBytes, delivery })
      : new TransportClosed({ delivery })
  }
  return new TransportFailed({ description: "the connection failed", delivery, cause: causeOf(error) })
}

/** Opens a WebSocket and gives it as a channel, for as long as the scope. */
export const openWebSocket = Effect.fnUntraced(function*(
  config: Config,
  dispatcher: Dispatcher
): Effect.fn.Return<Channel, Reason, Scope.Scope> {
  const scope = yield* Effect.scope
  const headers = Record.map(config.headers, Redacted.value)
  const socket = yield* Socket.makeWebSocket(config.url, { protocols: ["mcp"], headers }).pipe(
    Effect.provideService(Socket.WebSocketConstructor, (url, options) =>
      new WebSocket(url, {
        dispatcher,
        protocols: ["mcp"],
        headers: typeof options === "object" && "headers" in options ? { ...options.headers } : {}
      }) as unknown as ReturnType<Socket.WebSocketConstructor["Service"]>)
  )
  const reader = yield* Effect.mapError(socket.reader, (error): Reason => {
    const network = classifyNetwork({ error: causeOf(error), address: new URL(config.url).origin })
    return network._tag === "TransportFailed"
      ? new TransportFailed({ description: "no WebSocket could be opened", delivery: "NotSent", cause: causeOf(error) })
      : network
  })
  const writer = yield* socket.writer
  const fork = Effect.runForkWith(yield* Effect.context<never>())
  const transport = new WebSocketTransport((text) => {
    // A write that fails closes the socket, and the reader tells of it.
    fork(Effect.ignore(writer.write(text)))
  })
  yield* reader.pull.pipe(
    Effect.map((frames) => {
      for (const frame of frames) {
        transport.receive(typeof frame === "string" ? frame : Buffer.from(frame).toString("utf8"))
      }
    }),
    Effect.forever,
    Effect.catch((error) => Effect.sync(() => transport.fail(reasonOf(error, config)))),
    Effect.forkIn(scope, { startImmediately: true })
  )
  return {
    transport,
    gone: (delivery) => transport.gone(delivery),
    stderrTail: () => undefined,
    pid: undefined
  }
})
