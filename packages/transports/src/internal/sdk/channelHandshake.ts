/**
 * The handshake on one channel: carries out what the era machine decides.
 *
 * It owns the messages of the channel until the era is settled. The SDK's client is connected in exactly one mode: for `initialize`, or with
 * the answer to the probe at hand. Until it is attached, another client answers the requests of the server.
 */
import { type ConnectReason, ProtocolMismatch, TransportClosed } from "@mcp-sessions/core/SessionError"
import {
  type DiscoverResult,
  type JSONRPCMessage,
  type JSONRPCResponse,
  type jsonSchemaValidator,
  SUPPORTED_PROTOCOL_VERSIONS
} from "@modelcontextprotocol/client"
import * as Predicate from "effect/Predicate"
import { AskableClient, attach, capabilitiesOf } from "./clientHandlers.ts"
import { ClientPort } from "./clientPort.ts"
import { type Connecting, noTimeout } from "./connecting.ts"
import { type EraEvent, type EraState, transition } from "./eraMachine.ts"
import { isEraEvent, isToBeRepeated, probeId, probeRequest, readProbeFailure, readProbeResponse } from "./eraProbe.ts"
import { classifyConnect } from "./sdkError.ts"

/** How the handshake on a channel ended. */
export type HandshakeOutcome =
  | { readonly _tag: "Connected"; readonly client: AskableClient; readonly state: EraState }
  /** The channel is to be replaced by another, for this state. */
  | { readonly _tag: "Restart"; readonly state: EraState }
  | { readonly _tag: "Failed"; readonly reason: ConnectReason }

/** The revisions that an `initialize` handshake can end with. */
const legacyRevisions = SUPPORTED_PROTOCOL_VERSIONS.filter((revision) => revision < "2026")

/**
 * Not all requests pass through the method of the client that checks results against schemas, so results are checked elsewhere: without
 * a validator the client lets them through. An incapable one would still fail results that lack structured content, untyped.
 */
const unchecked: jsonSchemaValidator = { getValidator: () => undefined as never }

const makeClient = (connecting: Connecting): AskableClient => {
  const { onNotification, options, peer, run } = connecting
  const client = new AskableClient(options.config.clientInfo, {
    capabilities: capabilitiesOf(peer.handlers),
    jsonSchemaValidator: unchecked
  })
  if (run !== undefined) attach({ client, peer, callOf: (id) => connecting.callOf(id), run })
  client.fallbackNotificationHandler = ({ method, params }) => {
    onNotification({ method, params })
    return Promise.resolve()
  }
  return client
}

export class ChannelHandshake {
  readonly #connecting: Connecting
  readonly #onOutcome: (outcome: HandshakeOutcome) => void
  readonly #probe = new AbortController()
  #state: EraState
  #port: ClientPort | undefined
  #client: AskableClient | undefined
  /** Answers requests of the server before there is a port. */
  #early: AskableClient | undefined
  #discovered: DiscoverResult | undefined
  /** The revision in the result of `initialize`. What the client says of an unsupported one is only text. */
  #revision: string | undefined
  /** Whether the probe was sent again for the list of revisions in the refusal of the first. */
  #isRepeated = false
  #isOver = false

  constructor(connecting: Connecting, state: EraState, onOutcome: (outcome: HandshakeOutcome) => void) {
    this.#connecting = connecting
    this.#state = state
    this.#onOutcome = onOutcome
  }

  /** Why `initialize` was refused, while the answer to the probe may still come. */
  get refusal(): ConnectReason | undefined {
    return this.#state.refusal
  }

  start(): void {
    const { transport } = this.#connecting.channel
    transport.onmessage = (message) => this.#receive(message)
    transport.onerror = (error) => this.#port?.onerror?.(error)
    let isStarted = false
    let isClosed = false
    transport.onclose = () => {
      isClosed = true
      // Of a channel that could not be started, the failure of the start says more.
      if (isStarted) this.#dispatch(this.#ended())
      this.#port?.onclose?.()
    }
    transport.start().then(
      () => {
        isStarted = true
        this.#dispatch(isClosed ? this.#ended() : { _tag: "Opened" })
      },
      (error: unknown) => this.#finish({ _tag: "Failed", reason: this.#reasonOf(error) })
    )
  }

  /** Tells that the time limit of the probe has passed. */
  silence(): void {
    this.#dispatch({ _tag: "Silence" })
  }

  /** Tells that another start might not end before the deadline of the connect. */
  late(): void {
    this.#dispatch({ _tag: "Late" })
  }

  /** Ends the handshake without an outcome. */
  stop(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#probe.abort()
    this.#port?.detach()
  }

  #dispatch(event: EraEvent): void {
    if (this.#isOver) return
    const { action, state } = transition(this.#state, event)
    this.#state = state
    switch (action?._tag) {
      case "SendDiscover":
        return this.#sendDiscover()
      case "SendInitialize":
        return this.#connect((client, port) => client.connect(port, { timeout: noTimeout }), { _tag: "Initialized" })
      case "UseModern":
        return this.#useModern()
      case "UseLegacy":
        return this.#use()
      case "Restart":
        return this.#finish({ _tag: "Restart", state })
      case "Fail":
        return this.#finish({ _tag: "Failed", reason: action.reason })
      case undefined:
        return
    }
  }

  #finish(outcome: HandshakeOutcome): void {
    if (this.#isOver) return
    this.stop()
    this.#onOutcome(outcome)
  }

  /** Leaves the channel to the client. */
  #use(): void {
    const client = this.#client
    const port = this.#port
    if (this.#isOver || client === undefined || port === undefined) return
    this.#isOver = true
    // Over HTTP, the probe may still wait for a response.
    this.#probe.abort()
    const { transport } = this.#connecting.channel
    transport.onmessage = (message) => port.onmessage?.(message)
    transport.onerror = (error) => port.onerror?.(error)
    transport.onclose = () => port.onclose?.()
    this.#onOutcome({ _tag: "Connected", client, state: this.#state })
  }

  #sendDiscover(): void {
    const { channel: { transport }, options: { config }, peer } = this.#connecting
    const request = probeRequest({
      clientInfo: config.clientInfo,
      clientCapabilities: capabilitiesOf(peer.handlers)
    })
    transport.send(request, { requestSignal: this.#probe.signal }).catch((error: unknown) => {
      const { channel } = this.#connecting
      this.#dispatch(
        channel.ended() === undefined ? readProbeFailure(error, this.#reasonOf(error)) : this.#ended()
      )
    })
  }

  #useModern(): void {
    const discover = this.#discovered
    if (discover === undefined) return
    // A client that waits for the response to `initialize` is given up.
    this.#port?.detach()
    this.#connect(
      (client, port) => client.connect(port, { prior: { kind: "modern", discover } }),
      undefined
    )
  }

  /** Attaches a client. `done` is what it means that the client is connected; `undefined`: the era is settled. */
  #connect(
    connect: (client: AskableClient, port: ClientPort) => Promise<void>,
    done: EraEvent | undefined
  ): void {
    const port = this.#port = new ClientPort(this.#connecting.channel.transport)
    const client = this.#client = makeClient(this.#connecting)
    const isCurrent = () => this.#port === port
    connect(client, port).then(
      () => {
        if (!isCurrent()) return
        if (done === undefined) this.#use()
        else this.#dispatch(done)
      },
      (error: unknown) => {
        if (!isCurrent()) return
        const reason = this.#reasonOf(error)
        if (done === undefined) this.#finish({ _tag: "Failed", reason })
        else if (this.#connecting.channel.ended() !== undefined) this.#dispatch(this.#ended())
        else this.#dispatch({ _tag: "InitializeRefused", reason })
      }
    )
  }

  #receive(message: JSONRPCMessage): void {
    if (!("method" in message)) return this.#receiveResponse(message)
    if (this.#port !== undefined) return this.#port.onmessage?.(message)
    const { channel: { transport }, onNotification } = this.#connecting
    if ("id" in message) return (this.#early ??= makeClient(this.#connecting)).answerEarly(message, transport)
    const { method, params } = message
    onNotification({ method, params })
  }

  #receiveResponse(message: JSONRPCResponse): void {
    const port = this.#port
    const { id } = message
    if (id === probeId || (id === undefined && this.#onlyOpen === "discover")) {
      if (!this.#isRepeated && isToBeRepeated(message)) {
        this.#isRepeated = true
        return this.#sendDiscover()
      }
      const answer = readProbeResponse(message)
      if (isEraEvent(answer)) return this.#dispatch(answer)
      this.#discovered = answer
      return this.#dispatch({ _tag: "Discovered" })
    }
    const initializeId = port?.initializeId
    const isInitialize = initializeId !== undefined &&
      (id === initializeId || (id === undefined && this.#onlyOpen === "initialize"))
    if (!isInitialize) return port?.onmessage?.(message)
    if ("result" in message) {
      const { protocolVersion } = message.result
      if (Predicate.isString(protocolVersion)) this.#revision = protocolVersion
      this.#dispatch({ _tag: "Accepted" })
    }
    // The client ignores an error without an id.
    port?.onmessage?.({ ...message, id: initializeId })
  }

  /** The message that waits for its response, if it is the only one: an error without an id belongs to it. */
  get #onlyOpen(): "discover" | "initialize" | undefined {
    const { discover, initialize } = this.#state
    if ((discover === "open") === (initialize === "open")) return undefined
    return discover === "open" ? "discover" : "initialize"
  }

  #ended(): EraEvent {
    const reason = this.#connecting.channel.ended()?.("NotSent") ?? new TransportClosed({ delivery: "NotSent" })
    return { _tag: "Ended", reason }
  }

  #reasonOf(error: unknown): ConnectReason {
    const { channel, options: { address } } = this.#connecting
    const reason = classifyConnect({ error, end: channel.ended(), address, refusal: channel.refusal?.() })
    return reason._tag === "HandshakeFailed" && this.#revision !== undefined &&
        !legacyRevisions.includes(this.#revision)
      ? new ProtocolMismatch({ revision: this.#revision, supported: legacyRevisions })
      : reason
  }
}
