/**
 * The bridge: a client of the MCP SDK as a `Connection`. The only place where promises and callbacks meet effects.
 *
 * **Details**
 *
 * Every connection has a client of its own and every channel is closed by the scope that it was opened in; `close` of the
 * client is never called, as it would abort what the transport still has to say to the server.
 *
 * In `auto`, the era is probed on the channel that will be used. A stdio server that exits upon the probe is an old one:
 * it is started again and met with `initialize`. Never are there two at a time. What was learnt is remembered, so that the
 * next connection of the same transport starts out right.
 */
import { ClientHandlers } from "@mcp-sessions/core/ClientHandlers"
import {
  type Connection,
  type ConnectionInfo,
  fromRequest,
  type ListenFilter,
  type Listening
} from "@mcp-sessions/core/Connection"
import type { LogLevel, WireNotification } from "@mcp-sessions/core/Notification"
import type { ServerConfig } from "@mcp-sessions/core/ServerConfig"
import {
  AlreadyInitialized,
  HandshakeFailed,
  ProtocolMismatch,
  type Reason,
  TransportClosed
} from "@mcp-sessions/core/SessionError"
import {
  Client,
  type jsonSchemaValidator,
  LOG_LEVEL_META_KEY,
  type RequestOptions,
  type StandardSchemaV1,
  type SubscriptionFilter,
  SUPPORTED_PROTOCOL_VERSIONS
} from "@modelcontextprotocol/client"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberSet from "effect/FiberSet"
import * as Predicate from "effect/Predicate"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { DirectRequests } from "../jsonRpc/directRequests.ts"
import type { Channel } from "../jsonRpc/engineChannel.ts"
import { attach, capabilitiesOf } from "./clientHandlers.ts"
import { OutputSchemas } from "./outputSchemas.ts"
import { classify } from "./sdkError.ts"

/** What a transport remembers of its server from one connection to the next. */
export interface EraMemory {
  isLegacy: boolean
  /** Whether it had to be met over the older transport. */
  isOlder: boolean
}

/** Nothing to remember yet. */
export const unknownEra = (): EraMemory => ({ isLegacy: false, isOlder: false })

/** Another transport for servers that the first one is too new for. */
interface Older {
  readonly kind: Connection["kind"]
  readonly open: Effect.Effect<Channel, Reason, Scope.Scope>
  /** Whether what a server said upon the first one calls for this one. */
  readonly isFor: (reason: Reason) => boolean
}

/** The revisions that a handshake can end with. */
const legacyRevisions = SUPPORTED_PROTOCOL_VERSIONS.filter((revision) => revision < "2026")

/** Deadlines are set above, by a clock that tests can turn. The SDK's own timers get the longest time that there is. */
const noTimeout = 2 ** 31 - 1

/** Results are typed for the reader, not parsed: a pass over every result would cost more than the rest of the call. */
const unparsed: StandardSchemaV1<unknown, unknown> = {
  "~standard": { version: 1, vendor: "mcp-sessions", validate: (value) => ({ value }) }
}

/**
 * Not all requests pass through the method of the client that holds results against schemas, so none are to: without a
 * validator it lets them through. An incapable one would still fail results that lack structured content, untyped.
 */
const unchecked: jsonSchemaValidator = { getValidator: () => undefined as never }

/** Opens a channel and makes it a connection, closed with the scope. */
export const make = Effect.fnUntraced(function*(options: {
  readonly kind: Connection["kind"]
  readonly config: Pick<ServerConfig, "clientInfo" | "protocol" | "probeTimeout">
  readonly address: string
  readonly era: EraMemory
  readonly open: Effect.Effect<Channel, Reason, Scope.Scope>
  readonly older?: Older | undefined
}): Effect.fn.Return<Connection, Reason, Scope.Scope> {
  const { config, era, older } = options
  let kind = options.kind
  const scope = yield* Effect.scope
  const handlers = yield* ClientHandlers
  const run = yield* FiberSet.makeRuntimePromise()
  const closed = Deferred.makeUnsafe<Reason>()
  const openChannel = (open: Effect.Effect<Channel, Reason, Scope.Scope>) =>
    Effect.suspend(() => {
      const channelScope = Scope.forkUnsafe(scope)
      return Effect.map(Scope.provide(open, channelScope), (channel) => ({ channel, channelScope }))
    })
  let current = yield* openChannel(options.open)
  let client: Client | undefined
  let direct: DirectRequests | undefined
  let started = false
  const schemas = new OutputSchemas()
  let listener: ((notification: WireNotification) => void) | undefined
  let logLevel: LogLevel | undefined

  const reasonOf = (error: unknown, method: string, isConnecting: boolean): Reason =>
    classify({
      error,
      method,
      isConnecting,
      hasSession: current.channel.transport.sessionId !== undefined,
      isAttached: client?.transport !== undefined,
      gone: current.channel.gone,
      address: options.address,
      retryAfter: current.channel.retryAfter?.()
    })

  const meet = (protocol: ServerConfig["protocol"]) =>
    Effect.suspend(() => {
      const next = new Client(config.clientInfo, {
        capabilities: capabilitiesOf(handlers),
        jsonSchemaValidator: unchecked,
        versionNegotiation: {
          mode: protocol === "auto" || protocol === "legacy" ? protocol : { pin: protocol },
          // Over HTTP silence is an outage, and no sign of age: there the time of the connect is the limit.
          probe: { timeoutMs: kind === "streamable_http" ? noTimeout : Duration.toMillis(config.probeTimeout) }
        }
      })
      client = next
      attach({ client: next, handlers, run })
      next.fallbackNotificationHandler = ({ method, params }) => {
        listener?.({ method, params })
        return Promise.resolve()
      }
      let revision: string | undefined
      const { transport } = current.channel
      // The client passes on to whoever was here before it, and what it says of an answer that it does not like is but text.
      transport.onmessage = (message) => {
        if ("result" in message && Predicate.isString(message.result.protocolVersion)) {
          revision = message.result.protocolVersion
        }
      }
      return Effect.tryPromise({
        try: (signal) => next.connect(transport, { signal, timeout: noTimeout }),
        catch: (error) => {
          const reason = reasonOf(error, "initialize", true)
          return reason._tag === "HandshakeFailed" && revision !== undefined && !legacyRevisions.includes(revision)
            ? new ProtocolMismatch({ revision, supported: legacyRevisions })
            : reason
        }
      })
    })

  /** The second start of a server that could not bear the first way to meet it. */
  const meetAgain = Effect.fnUntraced(function*(open: Effect.Effect<Channel, Reason, Scope.Scope>) {
    yield* Scope.close(current.channelScope, Exit.void)
    current = yield* openChannel(open)
    yield* meet("legacy")
  })

  const meetOlder = (older: Older) =>
    Effect.tap(meetAgain(older.open), () =>
      Effect.sync(() => {
        kind = older.kind
        era.isOlder = true
      }))

  const meetNewer = Effect.gen(function*() {
    if (config.protocol !== "auto" || era.isLegacy) {
      yield* meet(config.protocol === "auto" ? "legacy" : config.protocol).pipe(
        // The server may have been replaced by one that is not what this one was. The next try asks again.
        Effect.tapError(() =>
          Effect.sync(() => {
            era.isLegacy = false
          })
        )
      )
    } else {
      yield* meet("auto").pipe(Effect.catchTag("ServerExited", () => meetAgain(options.open)))
    }
  })

  const handshake = Effect.gen(function*() {
    if (older !== undefined && era.isOlder) {
      yield* meetOlder(older).pipe(
        Effect.tapError(() =>
          Effect.sync(() => {
            era.isOlder = false
          })
        )
      )
    } else {
      yield* meetNewer.pipe(
        Effect.catchIf(
          (reason) => older?.isFor(reason) ?? false,
          // Where the older way does not work either, what the newer one was told says more.
          (reason) => older === undefined ? Effect.fail(reason) : Effect.mapError(meetOlder(older), () => reason)
        )
      )
    }
    const info = client === undefined ? undefined : infoOf(client, current.channel)
    if (client === undefined || info === undefined) {
      return yield* new HandshakeFailed({ description: "the handshake ended without a protocol version" })
    }
    if (info.era === "legacy") {
      direct = new DirectRequests(current.channel.transport, (error, method) => reasonOf(error, method, false))
    }
    const reasonOfEnd = () => current.channel.gone("Unknown") ?? new TransportClosed({ delivery: "Unknown" })
    const gone = (): void => {
      direct?.fail(reasonOfEnd)
      Deferred.doneUnsafe(closed, Effect.succeed(reasonOfEnd()))
    }
    client.onclose = gone
    if (current.channel.gone("Unknown") !== undefined) gone()
    era.isLegacy = info.era === "legacy"
    if (era.isLegacy && handlers.roots !== undefined && handlers.rootsChanges !== undefined) {
      const met = client
      yield* handlers.rootsChanges.pipe(
        // Where it cannot be sent the connection is failing, and says so by itself.
        Stream.runForEach(() => Effect.ignore(Effect.tryPromise(() => met.sendRootsListChanged()))),
        Effect.forkIn(scope, { startImmediately: true })
      )
    }
    return info
  })

  const initialize: Effect.Effect<ConnectionInfo, Reason> = Effect.suspend(() => {
    if (started) return Effect.fail(new AlreadyInitialized())
    started = true
    return handshake
  })

  return yield* fromRequest({
    get kind() {
      return kind
    },
    initialize,
    request: (request) =>
      schemas.around(
        request,
        direct !== undefined ? direct.request(request) : Effect.callback((resume, signal) => {
          if (client === undefined) return resume(Effect.fail(new TransportClosed({ delivery: "NotSent" })))
          const { method, onProgress } = request
          const params = logLevel === undefined ? request.params : withLogLevel(request.params, logLevel)
          const options = {
            signal,
            timeout: noTimeout,
            ...(onProgress === undefined ? {} : { onprogress: onProgress })
          }
          send(client, kind, method, params, options).then(
            (value) => resume(Effect.succeed(value)),
            (error: unknown) => resume(Effect.fail(reasonOf(error, method, false)))
          )
        })
      ),
    onNotification: (listen) => {
      listener = listen
    },
    listen: (filter) => {
      const met = client
      if (met === undefined) return Effect.fail(new TransportClosed({ delivery: "NotSent" }))
      if (direct !== undefined) return hear(current.channel.serverStream)
      return Effect.acquireRelease(
        Effect.tryPromise({
          try: (signal) => met.listen(wireFilterOf(filter), { signal, timeout: noTimeout }),
          catch: (error) => reasonOf(error, "subscriptions/listen", false)
        }),
        (subscription) => Effect.promise(() => subscription.close()),
        { interruptible: true }
      ).pipe(Effect.map(({ closed, honoredFilter }) => ({
        resources: honoredFilter.resourceSubscriptions ?? [],
        ended: Effect.asVoid(Effect.promise(() => closed))
      })))
    },
    setLogLevel: (level) => {
      if (direct !== undefined) {
        return Effect.asVoid(direct.request({ method: "logging/setLevel", params: { level } }))
      }
      return Effect.sync(() => {
        logLevel = level
      })
    },
    closed: Deferred.await(closed),
    stderrTail: () => current.channel.stderrTail?.(),
    warnings: () => current.channel.warnings?.() ?? []
  })
})

/** How long the stream of a server's own messages is waited for. Not all servers let it be seen before they say something. */
const opening = "2 seconds"

/** Hears a server of the legacy era, which speaks unasked: on the way of its answers, or on one of its own. */
const hear = (serverStream: Channel["serverStream"]): Effect.Effect<Listening> =>
  Effect.gen(function*() {
    if (serverStream === undefined) return { resources: [], ended: Effect.never }
    const open = Effect.callback<number>((resume) =>
      Effect.sync(serverStream.whenOpen((gaps) => resume(Effect.succeed(gaps))))
    )
    const gaps = yield* Effect.timeoutOrElse(open, {
      duration: opening,
      orElse: () => Effect.sync(() => serverStream.gaps)
    })
    const ended = Effect.callback<void>((resume) =>
      Effect.sync(serverStream.whenMissed(gaps, () => resume(Effect.void)))
    )
    return { resources: [], ended }
  })

const wireFilterOf = ({ resourceSubscriptions, ...lists }: ListenFilter): SubscriptionFilter => ({
  ...lists,
  ...(resourceSubscriptions === undefined ? {} : { resourceSubscriptions: [...resourceSubscriptions] })
})

/**
 * In the modern era each request says which log messages are wanted while it is under way.
 *
 * @see https://modelcontextprotocol.io/specification/2026-07-28/server/utilities/logging
 */
const withLogLevel = (params: Record<string, unknown> | undefined, level: LogLevel): Record<string, unknown> => ({
  ...params,
  _meta: { ...(Predicate.isObject(params?._meta) ? params._meta : {}), [LOG_LEVEL_META_KEY]: level }
})

const infoOf = (client: Client, channel: Channel): ConnectionInfo | undefined => {
  const protocolVersion = client.getNegotiatedProtocolVersion()
  return protocolVersion === undefined ? undefined : {
    era: client.getProtocolEra() ?? "legacy",
    protocolVersion,
    implementation: client.getServerVersion(),
    capabilities: client.getServerCapabilities() ?? {},
    instructions: client.getInstructions(),
    pid: channel.pid
  }
}

/**
 * Sends one request. Modern HTTP servers enforce headers that the SDK derives from tool schemas, so there the SDK's own
 * methods have to be used; everywhere else the direct way does.
 *
 * @see https://modelcontextprotocol.io/specification/2026-07-28/basic/transports
 */
const send = (
  client: Client,
  kind: Connection["kind"],
  method: string,
  params: Record<string, unknown> | undefined,
  options: RequestOptions
): Promise<unknown> => {
  if (kind === "streamable_http" && client.getProtocolEra() === "modern") {
    if (method === "tools/call" && params !== undefined && typeof params.name === "string") {
      return client.callTool({ ...params, name: params.name }, options)
    }
    // What the client remembers of earlier lists is not asked for: whether a list still holds is decided above.
    if (method === "tools/list" && params?.cursor === undefined) {
      return client.listTools(params, { ...options, cacheMode: "refresh" })
    }
  }
  return client.request(params === undefined ? { method } : { method, params }, unparsed, options)
}
