/**
 * The handshake: finds the era of a server, and for HTTP the transport that it speaks.
 *
 * With `protocol: "auto"`, the era is probed on the channel that will be used. A stdio server that exits on the probe is a legacy one: it
 * is started again for `initialize`. There are never two processes at a time. The verdict is kept for the next connection of the
 * transport.
 */
import type { Connection, OutgoingRequest } from "@mcp-sessions/core/Connection"
import type { WireNotification } from "@mcp-sessions/core/Notification"
import type { ServerConfig } from "@mcp-sessions/core/ServerConfig"
import { type ConnectReason, ProtocolMismatch } from "@mcp-sessions/core/SessionError"
import type { Peer } from "@mcp-sessions/core/Transport"
import { type jsonSchemaValidator, type RequestId, SUPPORTED_PROTOCOL_VERSIONS } from "@modelcontextprotocol/client"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Predicate from "effect/Predicate"
import * as Scope from "effect/Scope"
import type { EngineChannel } from "../channel/engineChannel.ts"
import { AskableClient, attach, capabilitiesOf } from "./clientHandlers.ts"
import { classifyConnect } from "./sdkError.ts"

/** What a transport remembers of its server from one connection to the next. */
export interface EraMemory {
  isLegacy: boolean
  /** Whether the server needs the fallback transport. */
  isFallback: boolean
}

/** Makes an empty memory. */
export const unknownEra = (): EraMemory => ({ isLegacy: false, isFallback: false })

/** Opens a channel. */
export type Open = Effect.Effect<EngineChannel, ConnectReason, Scope.Scope>

/** Another transport, for servers that do not speak the first one. */
interface Fallback {
  readonly kind: Connection["kind"]
  readonly open: Open
  /** Whether a failure of the handshake calls for the fallback. */
  readonly isFor: (reason: ConnectReason) => boolean
}

/** What a transport knows of the server that it connects to. */
export interface ConnectOptions {
  readonly kind: Connection["kind"]
  readonly config: ServerConfig
  readonly address: string
  readonly era: EraMemory
  readonly open: Open
  readonly fallback?: Fallback | undefined
}

/** A connect in progress. A restart and the fallback replace its channel. */
export interface Connecting {
  readonly options: ConnectOptions
  readonly scope: Scope.Scope
  readonly peer: typeof Peer.Service
  /** The call that a request of a legacy server belongs to. Set once requests are sent. */
  callOf: (serverRequest: RequestId) => OutgoingRequest | undefined
  /** Runs handlers; `undefined` if there are none. */
  readonly run: Parameters<typeof attach>[0]["run"] | undefined
  readonly onNotification: (notification: WireNotification) => void
  kind: Connection["kind"]
  channel: EngineChannel
  channelScope: Scope.Closeable
}

/** The revisions that an `initialize` handshake can end with. */
const legacyRevisions = SUPPORTED_PROTOCOL_VERSIONS.filter((revision) => revision < "2026")

/** The longest timeout of the SDK's own timers. Deadlines are set above, by a clock that tests control. */
export const noTimeout = 2 ** 31 - 1

/**
 * Not all requests pass through the method of the client that checks results against schemas, so results are checked elsewhere: without
 * a validator the client lets them through. An incapable one would still fail results that lack structured content, untyped.
 */
const unchecked: jsonSchemaValidator = { getValidator: () => undefined as never }

/** Opens a channel in a scope of its own, below the scope of the connection. */
export const openChannel = ({ open, scope }: {
  readonly open: Open
  readonly scope: Scope.Scope
}): Effect.Effect<Pick<Connecting, "channel" | "channelScope">, ConnectReason> =>
  Effect.suspend(() => {
    const channelScope = Scope.forkUnsafe(scope)
    return Effect.map(Scope.provide(open, channelScope), (channel) => ({ channel, channelScope }))
  })

/** Runs the handshake on the channel, and returns the SDK's client that ran it. */
const handshake = (
  connecting: Connecting,
  protocol: ServerConfig["protocol"]
): Effect.Effect<AskableClient, ConnectReason> =>
  Effect.suspend(() => {
    const { channel, kind, onNotification, options, peer, run } = connecting
    const { address, config } = options
    const client = new AskableClient(config.clientInfo, {
      capabilities: capabilitiesOf(peer.handlers),
      jsonSchemaValidator: unchecked,
      versionNegotiation: {
        mode: protocol === "auto" || protocol === "legacy" ? protocol : { pin: protocol },
        // Over HTTP silence is an outage, not a legacy server: the deadline of the connect ends the wait.
        probe: { timeoutMs: kind === "streamable_http" ? noTimeout : Duration.toMillis(config.probeTimeout) }
      }
    })
    if (run !== undefined) attach({ client, peer, callOf: (id) => connecting.callOf(id), run })
    client.fallbackNotificationHandler = ({ method, params }) => {
      onNotification({ method, params })
      return Promise.resolve()
    }
    let revision: string | undefined
    const { transport } = channel
    transport.responder = (request) => client.answerEarly(request, transport)
    // The client calls the listener that was set before it. What the client says of an unsupported revision is only text.
    transport.onmessage = (message) => {
      if ("result" in message && Predicate.isString(message.result.protocolVersion)) {
        revision = message.result.protocolVersion
      }
    }
    return Effect.tryPromise({
      try: (signal) => client.connect(transport, { signal, timeout: noTimeout }),
      catch: (error) => {
        const reason = classifyConnect({ error, end: channel.ended(), address, refusal: channel.refusal?.() })
        return reason._tag === "HandshakeFailed" && revision !== undefined && !legacyRevisions.includes(revision)
          ? new ProtocolMismatch({ revision, supported: legacyRevisions })
          : reason
      }
    }).pipe(Effect.as(client))
  })

/** Closes the channel, opens another, and runs the legacy handshake on it. */
const restartLegacy = (connecting: Connecting, open: Open): Effect.Effect<AskableClient, ConnectReason> =>
  Scope.close(connecting.channelScope, Exit.void).pipe(
    Effect.andThen(openChannel({ open, scope: connecting.scope })),
    Effect.flatMap((opened) => {
      Object.assign(connecting, opened)
      return handshake(connecting, "legacy")
    })
  )

/** Connects over the fallback transport, which is legacy SSE, and remembers it. */
const fallbackToSse = (connecting: Connecting, fallback: Fallback): Effect.Effect<AskableClient, ConnectReason> =>
  Effect.tap(restartLegacy(connecting, fallback.open), () =>
    Effect.sync(() => {
      connecting.kind = fallback.kind
      connecting.options.era.isFallback = true
    }))

const negotiateEra = (connecting: Connecting): Effect.Effect<AskableClient, ConnectReason> => {
  const { config, era, open } = connecting.options
  if (config.protocol === "auto" && !era.isLegacy) {
    return Effect.catchTag(handshake(connecting, "auto"), "ServerExited", () => restartLegacy(connecting, open))
  }
  return Effect.onError(handshake(connecting, config.protocol === "auto" ? "legacy" : config.protocol), () =>
    // The server may have been replaced by a modern one. The next connect probes again.
    Effect.sync(() => {
      era.isLegacy = false
    }))
}

/** Negotiates the era and the transport. Returns the SDK's client, which is initialized. */
export const negotiate = (connecting: Connecting): Effect.Effect<AskableClient, ConnectReason> =>
  Effect.suspend(() => {
    const { era, fallback } = connecting.options
    if (fallback === undefined) return negotiateEra(connecting)
    if (era.isFallback) {
      return Effect.onError(fallbackToSse(connecting, fallback), () =>
        Effect.sync(() => {
          era.isFallback = false
        }))
    }
    return Effect.catchIf(
      negotiateEra(connecting),
      fallback.isFor,
      // Where the fallback fails too, the failure of the first transport says more.
      (reason) => Effect.mapError(fallbackToSse(connecting, fallback), () => reason)
    )
  })
