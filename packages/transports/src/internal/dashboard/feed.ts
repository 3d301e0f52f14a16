/**
 * Feed: updates open pages by server-sent events.
 *
 * A stream begins with a snapshot. Then it sends changes at most twice a second, so the cost of a page does not depend on the load of the servers. If a page does not
 * read its stream, the stream ends, and the browser reconnects and gets a snapshot. Servers are pinged only while a page is open.
 */
import { unknown, type WatchedServer } from "@mcp-sessions/core/HealthWatch"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type { ServerResponse } from "node:http"
import { onClosed } from "../gateway/http/http.ts"
import type { EventStreams } from "../gateway/streams/eventStreams.ts"
import type { Backend, Call, Client } from "./backend.ts"
import type { PageSession } from "./pageSessions.ts"
import { clientViews, type Known, serverView, type Viewer, viewerOf } from "./serverView.ts"
import type { CallView, Message } from "./views.ts"

/** The interval between updates of open pages, in milliseconds. */
const interval = 500

/** The pause after an update is at least this many times the duration of the update. Matters with thousands of sessions. */
const idleShare = 10

/** The number of latest calls that are kept and sent. */
const callLimit = 200

/** The maximum number of streams of one page session. A further stream ends the oldest one. */
const streamLimit = 6

/** The maximum number of streams of all page sessions. */
const totalLimit = 256

interface Kept extends Call {
  /** The number of the call. A stream stores the number of the last call that it has sent. */
  readonly number: number
  readonly endedAt: number
}

/** All servers and clients at one moment. */
interface Seen {
  readonly known: ReadonlyArray<Known>
  readonly clients: ReadonlyArray<Client>
}

/** An open page, and the state that was sent to it last. */
interface Reader {
  readonly response: ServerResponse
  readonly session: PageSession
  servers: string
  clients: string
  /** The number of the last call that was sent. */
  seen: number
}

export interface FeedOptions {
  readonly backend: Backend
  readonly streams: EventStreams
  /** Monotonic time in milliseconds. */
  readonly now: () => number
  readonly fork: <A, E>(effect: Effect.Effect<A, E>) => Fiber.Fiber<A, E>
  /** Called at each update while a page is open. */
  readonly onTurn: () => void
}

export class Feed {
  readonly #options: FeedOptions
  readonly #readers = new Set<Reader>()
  readonly #rows: Map<string, WatchedServer>
  readonly #calls: Array<Kept> = []
  /** The streams that are open, also those that have no snapshot yet. */
  #open = 0
  #count = 0
  #running: Fiber.Fiber<unknown, unknown> | undefined

  constructor(options: FeedOptions) {
    this.#options = options
    this.#rows = new Map(options.backend.servers.map((name) => [name, unknown(name)]))
  }

  /** The number of open pages. */
  get size(): number {
    return this.#readers.size
  }

  /** Records a call that has ended. */
  record(call: Call): void {
    this.#calls.push({ ...call, number: ++this.#count, endedAt: this.#options.now() })
    if (this.#calls.length > callLimit) this.#calls.shift()
  }

  /** Uses a response as the stream of a page. Returns `false` if there are too many streams, and does not use the response. */
  open(session: PageSession, response: ServerResponse): boolean {
    const { fork, streams } = this.#options
    if (this.#open >= totalLimit) return false
    this.#open++
    const close = () => {
      session.streams.delete(close)
      response.end()
    }
    const [oldest] = session.streams
    if (session.streams.size >= streamLimit) oldest?.()
    session.streams.add(close)
    const reader: Reader = { response, session, servers: "", clients: "", seen: 0 }
    onClosed(response, () => {
      this.#open--
      session.streams.delete(close)
      this.#readers.delete(reader)
      if (this.#readers.size === 0) this.close()
    })
    streams.begin(response)
    fork(Effect.map(this.#read, (seen) => {
      this.#begin(reader, seen)
      this.#readers.add(reader)
      if (response.destroyed) this.#readers.delete(reader)
      else this.#running ??= fork(this.#run)
    }))
    return true
  }

  /** Stops following the servers. */
  close(): void {
    this.#running?.interruptUnsafe()
    this.#running = undefined
  }

  get #run(): Effect.Effect<never> {
    const { backend, now, onTurn } = this.#options
    const watching = backend.watch((row) => void this.#rows.set(row.name, row))
    const turn = Effect.suspend(() => {
      const startedAt = now()
      return Effect.map(this.#read, (seen) => {
        onTurn()
        for (const reader of this.#readers) this.#update(reader, seen)
        return Math.max(interval, idleShare * (now() - startedAt))
      })
    })
    const turns = (pause: number): Effect.Effect<never> =>
      Effect.flatMap(Effect.andThen(Effect.sleep(pause), turn), turns)
    return Effect.raceFirst(watching, turns(interval))
  }

  /** Reads the state once for all pages. */
  get #read(): Effect.Effect<Seen> {
    const { backend } = this.#options
    const known = Effect.forEach(
      backend.servers,
      (name) =>
        Effect.map(Effect.option(backend.status(name)), (status) => ({
          row: this.#rows.get(name) ?? unknown(name),
          status: Option.getOrUndefined(status)
        }))
    )
    return Effect.map(known, (known) => ({ known, clients: [...backend.clients()] }))
  }

  #views({ session: { principal } }: Reader, { clients, known }: Seen) {
    const viewer = viewerOf({ principal, isOperator: this.#options.backend.isOperator(principal), clients })
    return {
      viewer,
      servers: known.map((one) => serverView(one, viewer)),
      clients: clientViews({ clients, known, viewer })
    }
  }

  #begin(reader: Reader, seen: Seen): void {
    const { title } = this.#options.backend
    const { clients, servers, viewer } = this.#views(reader, seen)
    const { isOperator, principal } = viewer
    const { items } = this.#newCalls(reader, viewer)
    this.#remember(reader, servers, clients)
    this.#send(reader, { kind: "snapshot", snapshot: { title, principal, isOperator, servers, clients, calls: items } })
  }

  #update(reader: Reader, seen: Seen): void {
    const before = { servers: reader.servers, clients: reader.clients }
    const { clients, servers, viewer } = this.#views(reader, seen)
    this.#remember(reader, servers, clients)
    if (reader.servers !== before.servers) this.#send(reader, { kind: "servers", servers })
    if (reader.clients !== before.clients) this.#send(reader, { kind: "clients", clients })
    const calls = this.#newCalls(reader, viewer)
    if (calls.items.length > 0 || calls.hidden > 0) this.#send(reader, { kind: "calls", calls })
  }

  #remember(reader: Reader, servers: unknown, clients: unknown): void {
    reader.servers = JSON.stringify(servers)
    reader.clients = JSON.stringify(clients)
  }

  /** The calls that were not sent to a page yet. Calls that were dropped are counted as hidden, because their principals are not known. */
  #newCalls(reader: Reader, { isOperator, principal }: Viewer) {
    const now = this.#options.now()
    const kept = this.#calls.filter(({ number }) => number > reader.seen)
    const lost = this.#count - reader.seen - kept.length
    const isFirst = reader.seen === 0
    reader.seen = this.#count
    return {
      items: kept.filter((call) => isOperator || call.principal === principal).map(
        ({ endedAt, number: _, ...call }): CallView => ({ ...call, age: now - endedAt })
      ),
      hidden: isOperator && !isFirst ? lost : 0
    }
  }

  #send({ response }: Reader, message: Message): void {
    this.#options.streams.send(response, JSON.stringify(message))
  }
}
