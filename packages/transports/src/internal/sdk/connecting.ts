/**
 * A connect in progress: what is known of the server, and the channel that the handshake runs on.
 */
import type { Connection, OutgoingRequest } from "@mcp-sessions/core/Connection"
import type { WireNotification } from "@mcp-sessions/core/Notification"
import type { ServerConfig } from "@mcp-sessions/core/ServerConfig"
import type { ConnectReason } from "@mcp-sessions/core/SessionError"
import type { Peer } from "@mcp-sessions/core/Transport"
import type { RequestId } from "@modelcontextprotocol/client"
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import type { EngineChannel } from "../channel/engineChannel.ts"
import type { attach } from "./clientHandlers.ts"

/** What a transport remembers of its server from one connection to the next. */
export interface EraMemory {
  /** Whether the server has shown by an answer that it is of the legacy era. */
  isLegacy: boolean
  /** Whether the server needs the fallback transport. */
  isFallback: boolean
  /** Forgets everything. */
  readonly forget: () => void
}

/** What is remembered of the era of a server from one program to the next. */
export interface RememberedEra {
  isLegacy: boolean
}

/** Makes an empty memory, or one that continues that of another program. */
export const unknownEra = (remembered: RememberedEra = { isLegacy: false }): EraMemory => {
  const memory: EraMemory = {
    get isLegacy() {
      return remembered.isLegacy
    },
    set isLegacy(isLegacy) {
      remembered.isLegacy = isLegacy
    },
    isFallback: false,
    forget: () => {
      memory.isLegacy = memory.isFallback = false
    }
  }
  return memory
}

/** Opens a channel. */
export type Open = Effect.Effect<EngineChannel, ConnectReason, Scope.Scope>

/** Another transport, for servers that do not speak the first one. */
export interface Fallback {
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
  /** Why the server has refused the handshake, while it is not over. */
  refusal: () => ConnectReason | undefined
  kind: Connection["kind"]
  channel: EngineChannel
  channelScope: Scope.Closeable
}

export const noRefusal = (): undefined => undefined

/** The longest timeout of the SDK's own timers. Deadlines are set above, by a clock that tests control. */
export const noTimeout = 2 ** 31 - 1

/** Opens a channel in a scope of its own, below the scope of the connection. */
export const openChannel = ({ open, scope }: {
  readonly open: Open
  readonly scope: Scope.Scope
}): Effect.Effect<Pick<Connecting, "channel" | "channelScope">, ConnectReason> =>
  Effect.suspend(() => {
    const channelScope = Scope.forkUnsafe(scope)
    return Effect.map(Scope.provide(open, channelScope), (channel) => ({ channel, channelScope }))
  })
