/**
 * A WebSocket, on `effect/socket`, as a channel.
 *
 * The platform's own WebSocket tells nothing of why it could not be opened, and cannot be torn down where the peer does not
 * answer; `ws` does both. Its limit on a message holds after decompression.
 */
import type { ServerConfig } from "@mcp-sessions/core/ServerConfig"
import { MessageTooLarge, type Reason, TransportClosed, TransportFailed } from "@mcp-sessions/core/SessionError"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Record from "effect/Record"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import * as Socket from "effect/socket/Socket"
import type * as Net from "node:net"
import { WebSocket } from "ws"
import type { Channel } from "../jsonRpc/engineChannel.ts"
import { dialOptions, guard } from "../network/addressPolicy.ts"
import { classifyNetwork, reasonOfStatus } from "../sdk/sdkError.ts"
import { WebSocketTransport } from "./webSocketTransport.ts"

/** What `ws` fails with upon a message beyond its limit. */
const tooLargeCode = "WS_ERR_UNSUPPORTED_MESSAGE_LENGTH"

/** After how long without a word a peer is asked whether it is there. */
const quiet = Duration.seconds(15)

/** How long a peer has to agree to the end, in milliseconds. */
const farewell = 1000

type Config = Extract<ServerConfig, { readonly transport: "websocket" }>

/** The errors of a socket hold the event that brought them, which holds the error. */
const causeOf = (error: Socket.SocketError): unknown => {
  const cause: unknown = "cause" in error.reason ? error.reason.cause : error
  return typeof cause === "object" && cause !== null && "error" in cause ? cause.error : cause
}

/** Says farewell and waits for it to be returned; ends the connection where it is not. */
const leave = (socket: WebSocket): Effect.Effect<void> =>
  Effect.callback((resume) => {
    if (socket.readyState === WebSocket.CLOSED) return resume(Effect.void)
    const timer = setTimeout(() => socket.terminate(), farewell)
    socket.once("close", () => {
      clearTimeout(timer)
      resume(Effect.void)
    })
    socket.close(1000)
  })

/** Opens a WebSocket and gives it as a channel, for as long as the scope. */
export const openWebSocket = Effect.fnUntraced(function*(
  config: Config
): Effect.fn.Return<Channel, Reason, Scope.Scope> {
  const scope = yield* Effect.scope
  const address = new URL(config.url).origin
  let refusal: number | undefined
  let wire: Net.Socket | undefined
  // A peer may be busy for as long as a request may take; after that nobody waits for it anyway.
  const limit = Math.ceil(Duration.toMillis(config.requestTimeout) / Duration.toMillis(quiet))
  yield* guard(config)
  const socket = yield* Effect.acquireRelease(
    Effect.sync(() => {
      const socket = new WebSocket(config.url, ["mcp"], {
        headers: Record.map(config.headers, Redacted.value),
        ...dialOptions(config),
        maxPayload: config.maxMessageBytes
      })
      socket.on("upgrade", (response) => {
        wire = response.socket
      })
      socket.on("unexpected-response", (request, response) => {
        refusal = response.statusCode
        request.destroy()
        socket.terminate()
      })
      // Errors are heard by the reader as long as there is one; after that nobody needs to.
      socket.on("error", () => {})
      return socket
    }),
    leave
  )

  const reasonOf = (error: Socket.SocketError, delivery: "NotSent" | "Unknown"): Reason => {
    const cause = causeOf(error)
    if (cause instanceof Error && "code" in cause && cause.code === tooLargeCode) {
      return new MessageTooLarge({ limit: config.maxMessageBytes, delivery })
    }
    return error.reason._tag === "SocketCloseError"
      ? new TransportClosed({ delivery })
      : new TransportFailed({ description: "the connection failed", delivery, cause })
  }

  const wrapped = yield* Socket.fromWebSocket(Effect.succeed(socket as unknown as Socket.WebSocketLike), {
    // The deadline of whoever connects is the only one.
    openTimeout: Duration.infinity
  })
  const reader = yield* Effect.mapError(wrapped.reader, (error): Reason => {
    if (refusal !== undefined) {
      return reasonOfStatus({ status: refusal, hasSession: false, retryAfter: undefined, isConnecting: true })
    }
    const network = classifyNetwork({ error: causeOf(error), address })
    return network._tag === "TransportFailed" ? reasonOf(error, "NotSent") : network
  })
  const transport = new WebSocketTransport((text) => socket.send(text))
  /**
   * Asks a peer that says nothing whether it is there, and hangs up on one that does not even say that. Each byte is a word: a long
   * message takes its time.
   */
  const heartbeat = Effect.gen(function*() {
    let heard = 0
    let since = 0
    while (true) {
      yield* Effect.sleep(quiet)
      const now = wire?.bytesRead ?? 0
      since = now === heard ? since + 1 : 0
      heard = now
      if (since > limit) return socket.terminate()
      if (since > 0) socket.ping()
    }
  })
  yield* Effect.forkIn(heartbeat, scope, { startImmediately: true })
  yield* reader.pull.pipe(
    Effect.map((frames) => {
      for (const frame of frames) {
        transport.receive(typeof frame === "string" ? frame : Buffer.from(frame).toString("utf8"))
      }
    }),
    Effect.forever,
    Effect.catch((error) => Effect.sync(() => transport.fail((delivery) => reasonOf(error, delivery)))),
    Effect.forkIn(scope, { startImmediately: true })
  )
  // Before the socket is left: those who wait for answers learn that there will be none.
  yield* Effect.addFinalizer(() => Effect.promise(() => transport.close()))
  return {
    transport,
    gone: (delivery) => transport.gone(delivery)
  }
})
