/**
 * A WebSocket as a channel.
 *
 * The platform's own WebSocket hides why it could not be opened, and cannot be terminated where the peer does not answer; `ws` offers
 * both. Its limit on the size of a message applies after decompression.
 */
import type { ServerConfig } from "@mcp-sessions/core/ServerConfig"
import { type ConnectReason, MessageTooLarge, TransportClosed, TransportFailed } from "@mcp-sessions/core/SessionError"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Record from "effect/Record"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import type { Buffer } from "node:buffer"
import type * as Net from "node:net"
import type { ClientOptions } from "ws"
import type { EngineChannel } from "../channel/engineChannel.ts"
import type { EndReason } from "../jsonRpc/requestSink.ts"
import { dialOptions } from "../network/addressPolicy.ts"
import { type Authorizer, CurrentAuthorizer } from "../network/authorizer.ts"
import { type DialPlan, planDial } from "../network/dial.ts"
import { classifyNetwork } from "../network/networkFailure.ts"
import { makeConnector } from "../network/socketConnector.ts"
import { connectReasonOfStatus } from "../network/status.ts"
import { WebSocketTransport } from "./webSocketTransport.ts"
import { WebSocket } from "./ws.ts"

/** The code of `ws` for a message beyond its limit. */
const tooLargeCode = "WS_ERR_UNSUPPORTED_MESSAGE_LENGTH"

/** How often a silent peer is probed. */
const heartbeatInterval = Duration.seconds(15)

/** How long a peer may take to answer the close frame, in milliseconds. */
const closeTimeout = 1000

type Config = Extract<ServerConfig, { readonly transport: "websocket" }>

/** The response with which a server refused the upgrade. */
interface Refusal {
  readonly status: number
  readonly retryAfter: string | undefined
  readonly wwwAuthenticate: string | undefined
}

/** A socket, and what became of it so far. */
interface Dialled {
  readonly socket: WebSocket
  /** The socket below. */
  wire: Net.Socket | undefined
  /** The status with which the server refused the upgrade. */
  refusal: Refusal | undefined
  error: Error | undefined
}

/** Headers as an object, from names and values in turn. */
const headersOf = (flat: ReadonlyArray<string>): Readonly<{ [name: string]: string }> =>
  Object.fromEntries(flat.flatMap((name, index) => index % 2 === 0 ? [[name, flat[index + 1] ?? ""]] : []))

/** A definition, and how the socket below a WebSocket is opened if it is not dialled directly. */
interface Dialling {
  readonly config: Config
  readonly createConnection: ClientOptions["createConnection"]
}

/** Makes the function that opens the socket below, where `ws` cannot: through a proxy, or with certificates of the definition. */
const createConnectionOf = (
  ...[config, { destination, proxy, tls }]: readonly [Config, DialPlan]
): ClientOptions["createConnection"] => {
  const { host, isSecure, port } = destination
  if (proxy === undefined && (tls === undefined || !isSecure)) return undefined
  const connect = makeConnector({ config, server: destination, tls, route: () => proxy, allowH2: false })
  const at = { hostname: host, host, port: String(port), protocol: isSecure ? "https:" : "http:" }
  const create = (_: unknown, done: (error: Error | null, socket: Net.Socket | null) => void): void => connect(at, done)
  // The type is that of `Net.createConnection`, which returns a socket. Node's HTTP client takes one that is called back with, too.
  return create as unknown as ClientOptions["createConnection"]
}

/** Starts to open a socket, for as long as the scope. */
const dial = (
  ...[{ config, createConnection }, credentials]: readonly [Dialling, ReadonlyArray<string>]
): Effect.Effect<Dialled, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const socket = new WebSocket(config.url, ["mcp"], {
        headers: { ...Record.map(config.headers, Redacted.value), ...headersOf(credentials) },
        ...dialOptions(config),
        createConnection,
        maxPayload: config.maxMessageBytes
      })
      const dialled: Dialled = { socket, wire: undefined, refusal: undefined, error: undefined }
      socket.on("upgrade", (response) => {
        dialled.wire = response.socket
      })
      socket.on("unexpected-response", (request, response) => {
        const { headers, statusCode = 0 } = response
        dialled.refusal = {
          status: statusCode,
          retryAfter: headers["retry-after"],
          wwwAuthenticate: headers["www-authenticate"]
        }
        request.destroy()
        socket.terminate()
      })
      socket.on("error", (error) => {
        dialled.error ??= error
      })
      return dialled
    }),
    ({ socket }) => closeSocket(socket)
  )

/** Sends the close frame and waits for that of the peer; terminates the connection if none arrives in time. */
const closeSocket = (socket: WebSocket): Effect.Effect<void> =>
  Effect.callback((resume) => {
    if (socket.readyState === WebSocket.CLOSED) return resume(Effect.void)
    const timer = setTimeout(() => socket.terminate(), closeTimeout)
    socket.once("close", () => {
      clearTimeout(timer)
      resume(Effect.void)
    })
    socket.close(1000)
  })

/** Waits until the socket is open. */
const opened = (dialled: Dialled, address: string): Effect.Effect<void, ConnectReason> =>
  Effect.callback((resume) => {
    const { socket } = dialled
    const onOpen = () => resume(Effect.void)
    const onClose = () => resume(Effect.fail(refusalOf(dialled, address)))
    if (socket.readyState === WebSocket.OPEN) return onOpen()
    if (socket.readyState !== WebSocket.CONNECTING) return onClose()
    socket.once("open", onOpen).once("error", onClose).once("close", onClose)
    return Effect.sync(() => socket.off("open", onOpen).off("error", onClose).off("close", onClose))
  })

/** Says why a socket did not open. */
const refusalOf = ({ error, refusal }: Dialled, address: string): ConnectReason => {
  if (refusal !== undefined) return connectReasonOfStatus(refusal)
  return error === undefined
    ? new TransportClosed({ delivery: "NotSent" })
    : classifyNetwork({ error, address, delivery: "NotSent" })
}

/** Passes on what the socket receives, and why it ended. */
const listen = (options: {
  readonly dialled: Dialled
  readonly limit: number
  readonly redact: (text: string) => string
}): WebSocketTransport => {
  const { dialled, limit, redact } = options
  const { socket } = dialled
  const transport = new WebSocketTransport({
    pause: () => socket.pause(),
    resume: () => socket.resume(),
    unsent: () => socket.bufferedAmount,
    write: (text, onWritten) => {
      if (socket.readyState !== WebSocket.OPEN) return false
      socket.send(text, onWritten)
      return true
    },
    cork: () => dialled.wire?.cork(),
    uncork: () => dialled.wire?.uncork()
  }, redact)
  // Frames of either kind: some servers send text as bytes.
  socket.on("message", (data: Buffer) => transport.receive(data.toString("utf8")))
  // After most errors the peer has up to 30 s to answer the close frame. Requests do not wait for it.
  socket.on("error", (error) => transport.fail(endReasonOf(error, limit)))
  socket.on("close", () => transport.fail((delivery) => new TransportClosed({ delivery })))
  return transport
}

const endReasonOf = (error: Error, limit: number): EndReason =>
  "code" in error && error.code === tooLargeCode
    ? (delivery) => new MessageTooLarge({ limit, delivery })
    : (delivery) => new TransportFailed({ description: "the connection failed", delivery, cause: error })

/** Probes a silent peer, and terminates the connection if it stays silent. Each byte counts: a long message takes its time. */
const heartbeat = Effect.fnUntraced(function*(dialled: Dialled, config: Config) {
  // A peer may be busy for as long as a request may take.
  const limit = Math.ceil(Duration.toMillis(config.requestTimeout) / Duration.toMillis(heartbeatInterval))
  let heard = 0
  let silentIntervals = 0
  while (true) {
    yield* Effect.sleep(heartbeatInterval)
    const now = dialled.wire?.bytesRead ?? 0
    silentIntervals = now === heard ? silentIntervals + 1 : 0
    heard = now
    if (silentIntervals > limit) return dialled.socket.terminate()
    if (silentIntervals > 0) dialled.socket.ping()
  }
})

interface Opened {
  readonly dialled: Dialled
  readonly transport: WebSocketTransport
}

/** Opens a socket; once more with other credentials, if the server refuses the first ones and the authorizer has others. */
const openSocket = (
  dialling: Dialling,
  redact: (text: string) => string,
  authorizer: Authorizer | undefined
): Effect.Effect<Opened, ConnectReason, Scope.Scope> => {
  const { config } = dialling
  const url = new URL(config.url.replace(/^ws/i, "http"))
  const once = Effect.gen(function*() {
    const used = authorizer === undefined ? [] : yield* Effect.promise(async () => authorizer.headers("GET", url))
    const dialled = yield* dial(dialling, used)
    // Before the socket is open: frames may arrive with the upgrade.
    const transport = listen({ dialled, limit: config.maxMessageBytes, redact })
    const exit = yield* Effect.exit(opened(dialled, new URL(config.url).origin))
    if (Exit.isSuccess(exit)) authorizer?.accepted?.(used)
    return { dialled, transport, used, exit }
  })
  return Effect.gen(function*() {
    const first = yield* once
    const { exit, dialled: { refusal }, used } = first
    const isChallenge = refusal?.status === 401 || refusal?.status === 403
    if (authorizer === undefined || refusal === undefined || !isChallenge) return yield* Effect.as(exit, first)
    const { status, wwwAuthenticate } = refusal
    const challenge = { status, wwwAuthenticate, dpopNonce: undefined, used }
    const verdict = yield* Effect.promise(() => authorizer.challenged(challenge))
    if (verdict !== undefined) return yield* verdict
    const second = yield* once
    return yield* Effect.as(second.exit, second)
  })
}

/** Opens a WebSocket and returns it as a channel, for as long as the scope. */
export const openWebSocket = Effect.fnUntraced(function*(
  config: Config,
  redact: (text: string) => string
): Effect.fn.Return<EngineChannel, ConnectReason, Scope.Scope> {
  const plan = planDial(config)
  yield* plan.prepare
  const createConnection = createConnectionOf(config, plan)
  const { dialled, transport } = yield* openSocket({ config, createConnection }, redact, yield* CurrentAuthorizer)
  yield* Effect.forkScoped(heartbeat(dialled, config), { startImmediately: true })
  // Before the socket is closed: requests in flight end at once.
  yield* Effect.addFinalizer(() => Effect.promise(() => transport.close()))
  return { transport, ended: () => transport.ended(), warnings: () => transport.warnings() }
})
