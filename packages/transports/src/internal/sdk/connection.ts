/**
 * A channel as a `Connection`: the SDK's client runs the handshake, the engine sends requests.
 *
 * **Details**
 *
 * Every connection has a client of its own, which is released after a legacy handshake unless it has to answer requests of the server. Every
 * channel is closed by the scope that opened it. `close` of the client is never called, because it would abort what the transport still
 * has to tell the server.
 */
import type {
  Connection,
  ConnectionInfo,
  ListenFilter,
  Listening,
  OutgoingRequest,
  RequestOptions,
  TaskInput
} from "@mcp-sessions/core/Connection"
import type { LogLevel, WireNotification } from "@mcp-sessions/core/Notification"
import {
  type CloseReason,
  type ConnectReason,
  HandshakeFailed,
  type Reason,
  type RequestReason,
  TransportClosed
} from "@mcp-sessions/core/SessionError"
import { Peer } from "@mcp-sessions/core/Transport"
import type { Client } from "@modelcontextprotocol/client"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberSet from "effect/FiberSet"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { EngineChannel } from "../channel/engineChannel.ts"
import { DirectRequests } from "../jsonRpc/directRequests.ts"
import { legacyCodec } from "../jsonRpc/eraCodec.ts"
import type { EndReason } from "../jsonRpc/requestSink.ts"
import { ModernCodec } from "../modern/modernCodec.ts"
import { CurrentAuthorizer } from "../network/authorizer.ts"
import { redactData, redactReason } from "../redactedReasons.ts"
import { extend } from "../redactor.ts"
import { redactorOf } from "../secrets.ts"
import { type AskableClient, capabilitiesOf } from "./clientHandlers.ts"
import { type Connecting, type ConnectOptions, noRefusal, openChannel } from "./connecting.ts"
import { InputRounds } from "./inputRounds.ts"
import { negotiate } from "./negotiate.ts"
import { OutputSchemas } from "./outputSchemas.ts"
import { classifyRequest } from "./sdkError.ts"
import { listenLegacy, listenModern } from "./subscriptions.ts"

export { type ConnectOptions, unknownEra } from "./connecting.ts"

/**
 * Opens a channel and makes it a connection, closed with the scope. What servers and the platform say reaches callers without the secrets of
 * the definition and the tokens: every reason of the connection, its warnings, stderr and the name of the server.
 */
export const make = (options: ConnectOptions): Effect.Effect<Connection, ConnectReason, Scope.Scope> =>
  Effect.flatMap(CurrentAuthorizer, (authorizer) => {
    const ofDefinition = redactorOf(options.config)
    const redact = authorizer === undefined ? ofDefinition : extend(ofDefinition, authorizer.secrets)
    return Effect.mapError(connect(options, redact), (reason) => redactReason(reason, redact))
  })

const connect = Effect.fnUntraced(function*(
  options: ConnectOptions,
  redact: (text: string) => string
): Effect.fn.Return<Connection, ConnectReason, Scope.Scope> {
  const scope = yield* Effect.scope
  const peer = yield* Peer
  const { elicitation, roots, sampling } = peer.handlers
  const hasHandlers = elicitation !== undefined || roots !== undefined || sampling !== undefined
  const run = hasHandlers ? yield* FiberSet.makeRuntimePromise() : undefined
  let listener: ((notification: WireNotification) => void) | undefined
  const connecting: Connecting = {
    options,
    scope,
    peer,
    callOf: () => undefined,
    refusal: noRefusal,
    run,
    kind: options.kind,
    onNotification: (notification) => listener?.(notification),
    ...(yield* openChannel({ open: options.open, scope }))
  }
  return new ChannelConnection(connecting, redact, (next) => {
    listener = next
  })
})

const closedChannel: EndReason = (delivery) => new TransportClosed({ delivery })

class ChannelConnection implements Connection {
  readonly #connecting: Connecting
  readonly #redact: (text: string) => string
  readonly onNotification: Connection["onNotification"]
  readonly #schemas = new OutputSchemas()
  #isStarted = false
  #direct: DirectRequests | undefined
  /** In the modern era. */
  #client: Client | undefined
  #codec: ModernCodec | undefined
  #rounds: InputRounds | undefined
  #closeReason: CloseReason | undefined
  #onClose: ((reason: CloseReason) => void) | undefined
  #closedListeners: Set<(reason: CloseReason) => void> | undefined

  constructor(
    connecting: Connecting,
    redact: (text: string) => string,
    onNotification: Connection["onNotification"]
  ) {
    this.#connecting = connecting
    this.#redact = redact
    this.onNotification = onNotification
  }

  get kind(): Connection["kind"] {
    return this.#connecting.kind
  }

  get #channel(): EngineChannel {
    return this.#connecting.channel
  }

  get initialize(): Effect.Effect<ConnectionInfo, ConnectReason> {
    return Effect.suspend(() => {
      if (this.#isStarted) {
        return Effect.fail(new HandshakeFailed({ description: "the connection is initialized already" }))
      }
      this.#isStarted = true
      return Effect.mapError(
        Effect.flatMap(negotiate(this.#connecting), (client) => this.#begin(client)),
        this.#redactReason
      )
    })
  }

  send(request: OutgoingRequest): void {
    if (this.#direct !== undefined) this.#direct.send(request)
    else request.settle(Exit.fail(new TransportClosed({ delivery: "NotSent" })))
  }

  cancel(request: OutgoingRequest): void {
    this.#direct?.cancel(request)
  }

  request({ method, onProgress, onSent, params }: RequestOptions): Effect.Effect<unknown, RequestReason> {
    return Effect.callback((resume) => {
      const request: OutgoingRequest = { method, params, onProgress, id: undefined, isWritten: false, settle: resume }
      this.send(request)
      if (onSent !== undefined && request.id !== undefined) onSent(request.id)
      return Effect.sync(() => this.cancel(request))
    })
  }

  listen(filter: ListenFilter): Effect.Effect<Listening, RequestReason, Scope.Scope> {
    if (this.#client !== undefined) {
      const reasonOf = (error: unknown, method: string) => this.#reasonOf(error, method)
      return Effect.mapError(listenModern({ client: this.#client, filter, reasonOf }), this.#redactReason)
    }
    return this.#direct === undefined
      ? Effect.fail(new TransportClosed({ delivery: "NotSent" }))
      : Effect.mapError(listenLegacy(this.#channel), this.#redactReason)
  }

  setLogLevel(level: LogLevel): Effect.Effect<void, RequestReason> {
    const codec = this.#codec
    return codec === undefined
      ? Effect.asVoid(this.request({ method: "logging/setLevel", params: { level } }))
      : Effect.sync(() => codec.setLogLevel(level))
  }

  answerInput(input: TaskInput): Effect.Effect<Readonly<Record<string, unknown>>, RequestReason> {
    return this.#rounds === undefined
      ? Effect.fail(new TransportClosed({ delivery: "NotSent" }))
      : Effect.mapError(this.#rounds.answer(input), this.#redactReason)
  }

  get closed(): Effect.Effect<CloseReason> {
    return Effect.callback((resume) => {
      if (this.#closeReason !== undefined) return resume(Effect.succeed(this.#closeReason))
      const listener = (reason: CloseReason) => resume(Effect.succeed(reason))
      const listeners = this.#closedListeners ??= new Set()
      listeners.add(listener)
      return Effect.sync(() => listeners.delete(listener))
    })
  }

  onClose(listener: (reason: CloseReason) => void): void {
    if (this.#closeReason === undefined) this.#onClose = listener
    else listener(this.#closeReason)
  }

  refusal(): ConnectReason | undefined {
    const reason = this.#connecting.refusal()
    return reason === undefined ? undefined : this.#redactReason(reason)
  }

  pending(): string | undefined {
    const pending = this.#channel.pending?.()
    return pending === undefined ? undefined : this.#redact(pending)
  }

  stderrTail(): string | undefined {
    const tail = this.#channel.stderrTail?.()
    return tail === undefined ? undefined : this.#redact(tail)
  }

  sessionId(): string | undefined {
    return this.#channel.transport.sessionId
  }

  warnings(): ReadonlyArray<string> {
    return (this.#channel.warnings?.() ?? []).map((warning) => this.#redact(warning))
  }

  readonly #redactReason = <R extends Reason>(reason: R): R => redactReason(reason, this.#redact)

  #reasonOf(error: unknown, method: string): RequestReason {
    const channel = this.#channel
    return classifyRequest({
      error,
      method,
      end: channel.ended(),
      isAttached: this.#client?.transport !== undefined,
      address: this.#connecting.options.address,
      refusal: channel.refusal?.()
    })
  }

  /** Starts to send requests, in the way of the era that was negotiated. */
  #begin(client: AskableClient): Effect.Effect<ConnectionInfo, ConnectReason> {
    const channel = this.#channel
    const info = infoOf(client, channel, this.#redact)
    if (info === undefined) {
      return Effect.fail(new HandshakeFailed({ description: "the handshake ended without a protocol version" }))
    }
    if (info.era === "legacy") this.#beginLegacy(client)
    else this.#beginModern(client, info.protocolVersion)
    if (channel.ended() !== undefined) this.#end()
    return info.era === "legacy" ? Effect.as(announceRoots(this.#connecting), info) : Effect.succeed(info)
  }

  #beginLegacy(client: Client): void {
    const { onNotification, run } = this.#connecting
    const { transport } = this.#channel
    const toClient = run === undefined ? undefined : transport.onmessage
    this.#direct = new DirectRequests({
      transport,
      codec: legacyCodec,
      checks: this.#schemas,
      onNotification,
      onLogMessage: onNotification,
      redact: this.#redactReason,
      client: toClient === undefined ? undefined : (message) => toClient(message)
    })
    const direct = this.#direct
    transport.receiver = direct
    this.#connecting.callOf = (id) => direct.callOf(id)
    if (toClient !== undefined) {
      client.onclose = () => this.#end()
      return
    }
    // The engine answers what the client would: nothing refers to the client any more.
    transport.onmessage = ignore
    transport.onerror = ignore
    transport.onclose = () => this.#end()
  }

  #beginModern(client: AskableClient, protocolVersion: string): void {
    const { onNotification, options, peer } = this.#connecting
    const { toolHeaders, transport } = this.#channel
    const toClient = transport.onmessage
    const rounds = this.#rounds = new InputRounds({
      client,
      transport,
      reasonOf: (error, method) => this.#reasonOf(error, method)
    })
    const codec: ModernCodec = this.#codec = new ModernCodec({
      protocolVersion,
      clientInfo: options.config.clientInfo,
      clientCapabilities: capabilitiesOf(peer.handlers),
      toolHeaders,
      engine: () => direct,
      fulfilInput: rounds.fulfil,
      redact: this.#redactReason
    })
    const direct: DirectRequests = this.#direct = new DirectRequests({
      transport,
      codec,
      checks: this.#schemas,
      onNotification: undefined,
      onLogMessage: onNotification,
      redact: this.#redactReason,
      client: (message) => toClient?.(message)
    })
    transport.receiver = direct
    this.#client = client
    client.onclose = () => this.#end()
  }

  /** The channel has ended. */
  #end(): void {
    if (this.#closeReason !== undefined) return
    const end = this.#channel.ended() ?? closedChannel
    if (this.#direct === undefined) return
    const reason = this.#closeReason = this.#direct.failAll(end)
    this.#onClose?.(reason)
    for (const listener of this.#closedListeners ?? []) listener(reason)
  }
}

const ignore = (): void => {}

/** Announces changes of the roots, for as long as the connection. */
const announceRoots = ({ channel, peer: { handlers }, scope }: Connecting): Effect.Effect<void> => {
  if (handlers.roots === undefined || handlers.rootsChanges === undefined) return Effect.void
  const { transport } = channel
  return handlers.rootsChanges.pipe(
    // Where it cannot be sent the channel is failing, and ends by itself.
    Stream.runForEach(() =>
      Effect.ignore(
        Effect.tryPromise(() => transport.send({ jsonrpc: "2.0", method: "notifications/roots/list_changed" }))
      )
    ),
    Effect.forkIn(scope, { startImmediately: true }),
    Effect.asVoid
  )
}

const infoOf = (
  ...[client, channel, redact]: readonly [Client, EngineChannel, (text: string) => string]
): ConnectionInfo | undefined => {
  const protocolVersion = client.getNegotiatedProtocolVersion()
  return protocolVersion === undefined ? undefined : {
    era: client.getProtocolEra() ?? "legacy",
    protocolVersion,
    implementation: redactData(client.getServerVersion(), redact),
    capabilities: client.getServerCapabilities() ?? {},
    instructions: client.getInstructions(),
    pid: channel.pid
  }
}
