/**
 * Node listener: takes hops of other nodes, for the sessions that this node owns.
 *
 * It serves only the nodes of one fleet. Every request of another program has the same answer without information.
 */
import type { JSONRPCMessage } from "@modelcontextprotocol/client"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import * as Http from "node:http"
import * as Https from "node:https"
import { isRequest } from "../gateway/call/dispatcher.ts"
import { interrupt } from "../gateway/client/clientCall.ts"
import type { ClientSession } from "../gateway/client/clientSession.ts"
import type { Exchange, NamedSession } from "../gateway/client/sessionLocation.ts"
import { guarded, settled } from "../gateway/http/defects.ts"
import { answerEmpty, answerFailure, onClosed, readBody } from "../gateway/http/http.ts"
import { type CannotListen, openServer } from "../gateway/http/httpServer.ts"
import { messagesOf } from "../gateway/protocol/postBody.ts"
import { RpcError } from "../gateway/protocol/rpc.ts"
import type { EventStreams } from "../gateway/streams/eventStreams.ts"
import { bucketOf } from "./buckets.ts"
import { restore, stateOf } from "./clientState.ts"
import { type Hop, hopHeaders, type Hops, notOwner } from "./hop.ts"
import type { OwnedBuckets } from "./ownedBuckets.ts"
import { refuseSession } from "./refusals.ts"
import type { Stalls } from "./stalls.ts"
import type { Tickets } from "./ticket.ts"
import type { TlsOptions } from "./tls.ts"

/** The headers of a client may have 16 KiB, and those of a hop are more. */
const serverOptions: Http.ServerOptions = {
  maxHeaderSize: 65_536,
  headersTimeout: 10_000,
  requestTimeout: 60_000,
  keepAliveTimeout: 60_000,
  noDelay: true
}

/** How many sockets may be open. */
const maxConnections = 20_000

/** The largest state of a client, in bytes: that of a client with all subscriptions it may have. */
const stateLimit = 4 * 1024 ** 2

export interface NodeListenerOptions {
  readonly host: string
  readonly port: number
  readonly tls: TlsOptions | undefined
  readonly hops: Hops
  readonly tickets: Tickets
  readonly owned: OwnedBuckets
  readonly stalls: Stalls
  readonly streams: EventStreams
  readonly maxBodyBytes: number
  /** Gives the session of a ticket. `ended` for one that its client has ended, `undefined` if there are too many. */
  readonly sessionOf: (session: NamedSession) => Effect.Effect<ClientSession | "ended" | undefined>
  /** Ends a session that this node has not made; `false` if it has. */
  readonly endUnmade: (session: NamedSession) => boolean
  /** Receives the ended sessions that another node announces. */
  readonly onEnded: (text: string) => void
  readonly serve: (client: ClientSession, exchange: Exchange) => void
  readonly fork: <A, E>(effect: Effect.Effect<A, E>) => Fiber.Fiber<A, E>
}

/** The streams of clients that came by other nodes, which learn of moves and of the state of the client. */
class PassedStreams {
  readonly #streams = new Map<Http.ServerResponse, ClientSession>()
  readonly #events: EventStreams

  constructor(events: EventStreams) {
    this.#events = events
  }

  add(response: Http.ServerResponse, client: ClientSession): void {
    this.#streams.set(response, client)
    onClosed(response, () => this.#streams.delete(response))
    if (!response.headersSent) return
    let isDue = false
    const tell = () => {
      isDue = false
      if (!response.writableEnded) this.#events.write(response, `event: state\ndata: ${stateOf(client)}\n\n`)
    }
    // A client may change much at once. The other node needs only the final state.
    const onChange = () => {
      if (isDue) return
      isDue = true
      if (response.writableNeedDrain) response.once("drain", tell)
      else setImmediate(tell)
    }
    client.changeListeners.add(onChange)
    onClosed(response, () => client.changeListeners.delete(onChange))
    tell()
  }

  move(bucket: number): void {
    for (const [response, client] of this.#streams) {
      if (bucketOf(client.name) !== bucket) continue
      const state = response.headersSent ? `event: state\ndata: ${stateOf(client)}\n\n` : ""
      this.#events.write(response, `${state}event: moved\ndata: {}\n\n`)
    }
  }
}

/** Ends the calls of an exchange that has come before, and whose response the other node has lost. */
const dropCalls = (client: ClientSession, messages: ReadonlyArray<JSONRPCMessage>): Effect.Effect<void> =>
  Effect.suspend(() => {
    const calls = messages.filter(isRequest).flatMap(({ id }) => client.calls.get(id) ?? [])
    return Fiber.awaitAll(calls.flatMap((call) => interrupt(call) ?? []))
  })

/** Listens until the scope closes, and returns the port. */
export const listen = (options: NodeListenerOptions): Effect.Effect<number, CannotListen, Scope.Scope> => {
  const {
    endUnmade,
    fork,
    hops,
    host,
    maxBodyBytes,
    onEnded,
    owned,
    port,
    serve,
    sessionOf,
    stalls,
    streams,
    tickets,
    tls
  } = options
  const passed = new PassedStreams(streams)

  const handle = (
    hop: Hop,
    session: NamedSession,
    text: string,
    from: Http.IncomingMessage,
    to: Http.ServerResponse
  ) => {
    const bucket = bucketOf(session.name)
    const end = owned.begin(bucket, hop.activation)
    if (end === undefined) return void to.writeHead(notOwner).end()
    if (hop.method === "DELETE" && endUnmade(session)) {
      end()
      return answerEmpty(to, 200)
    }
    const read = hop.method === "POST" ? messagesOf(text) : []
    const messages = read instanceof RpcError ? [] : read
    const found = Effect.tap(
      sessionOf(session),
      (client) =>
        client === undefined || client === "ended" || !hop.isRepeated ? Effect.void : dropCalls(client, messages)
    )
    const onFailure = (error: RpcError) => {
      end()
      answerFailure(to, error, messages.find(isRequest)?.id)
    }
    settled({ fork, doing: "handle a request of another node", onFailure }, {
      effect: found,
      onValue: (client) => {
        if (client === undefined || client === "ended") {
          end()
          return refuseSession(to, client ?? "limited", messages)
        }
        const request = { method: hop.method, headers: from.headers }
        if (hop.method === "GET") fork(restore(client, text))
        else owned.breakOnMove(bucket, to)
        serve(client, { principal: hop.principal, request, response: to, text, messages, onEnd: end })
        if (hop.method === "GET") passed.add(to, client)
        // Only a POST has an end of its own.
        if (hop.method !== "POST") end()
      }
    })
  }

  const receive = (request: Http.IncomingMessage, response: Http.ServerResponse): void => {
    const { [hopHeaders.seal]: seal, [hopHeaders.ticket]: ticket } = request.headers
    const nothing = () => void response.writeHead(404, { connection: "close" }).end()
    if (request.method !== "POST" || typeof seal !== "string" || typeof ticket !== "string") return nothing()
    const hop = hops.read(seal)
    const isNotice = hop?.method === "ENDED"
    const session = hop === undefined || isNotice ? undefined : tickets.open(ticket, hop.principal)
    // The body of another program is not read.
    if (hop === undefined || (session === undefined && !isNotice)) return nothing()
    // The callers of requests that waited during a pause may have stopped waiting.
    const isStale = stalls.isRefusing
    readBody({
      request,
      limit: hop.method === "GET" || isNotice ? stateLimit : maxBodyBytes,
      done: (text) =>
        guard(response, () => {
          if (text === undefined || !hops.take(hop, ticket, text)) return nothing()
          if (session === undefined) {
            onEnded(text)
            return void response.writeHead(200).end()
          }
          if (isStale || stalls.isRefusing) return void response.writeHead(notOwner).end()
          handle(hop, session, text, request, response)
        })
    })
  }

  const guard = (response: Http.ServerResponse, run: () => void): void =>
    guarded(
      { fork, doing: "receive a request of another node", onFailure: (error) => answerFailure(response, error) },
      run
    )

  return Effect.gen(function*() {
    const removeListener = owned.onMove((bucket) => passed.move(bucket))
    yield* Effect.addFinalizer(() => Effect.sync(removeListener))
    const opened = yield* openServer({
      host,
      port,
      maxConnections,
      make: () =>
        tls === undefined
          ? Http.createServer(serverOptions)
          : Https.createServer({ ...serverOptions, ...tls, requestCert: true, rejectUnauthorized: true }),
      handlerOf: () => receive
    })
    return opened.port
  })
}
