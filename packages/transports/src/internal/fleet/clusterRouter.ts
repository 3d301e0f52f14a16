/**
 * Cluster router: each session is on the node that owns its bucket, and every node takes every request.
 */
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Metric from "effect/Metric"
import type { Clients } from "../gateway/clients.ts"
import type { ClientSession } from "../gateway/clientSession.ts"
import type { Dispatcher } from "../gateway/dispatcher.ts"
import type { EventStreams } from "../gateway/eventStreams.ts"
import type { Exchange, Router, Seat, SessionParts } from "../gateway/seat.ts"
import { bucketOf, commonName, newName } from "./buckets.ts"
import { restore } from "./clientState.ts"
import type { Forwarding } from "./forward.ts"
import type { Holds } from "./holds.ts"
import type { OwnedBuckets } from "./ownedBuckets.ts"
import { Passage } from "./passage.ts"
import { refuseSession } from "./refusals.ts"
import type { NamedSession, TicketedSession, Tickets } from "./ticket.ts"

/** How long after a failed attempt the next one begins, and how many there are in all. */
const [attemptAgain, maxAttempts] = ["100 millis", 150] as const

/** How long a ticket of a common session is used, in milliseconds, and how many are kept. */
const [ticketAge, commonLimit] = [24 * 60 * 60 * 1000, 4096]

/** How many sessions that their clients have ended are remembered. */
const endedLimit = 10_000

const hops = Metric.counter("mcp_sessions_fleet_hops_total", {
  description: "Requests that this node sent to the owner of their session",
  incremental: true
})

export interface ClusterRouterOptions {
  readonly clients: Clients
  readonly dispatcher: Dispatcher
  readonly streams: EventStreams
  readonly fork: <A, E>(effect: Effect.Effect<A, E>) => Fiber.Fiber<A, E>
  readonly tickets: Tickets
  readonly holds: Holds
  readonly owned: OwnedBuckets
  readonly forwarding: Forwarding
  /** Monotonic time in milliseconds. */
  readonly now: () => number
}

export class ClusterRouter implements Router {
  readonly #options: ClusterRouterOptions
  readonly #ended = new Set<string>()
  readonly #commons = new Map<string, { readonly session: TicketedSession; readonly madeAt: number }>()

  constructor(options: ClusterRouterOptions) {
    this.#options = options
  }

  open(parts: SessionParts): Effect.Effect<string | undefined> {
    const { owned, tickets } = this.#options
    const session = { ...parts, name: newName((bucket) => owned.has(bucket)) }
    if (!owned.has(bucketOf(session.name))) return Effect.sync(() => tickets.seal(session))
    return Effect.map(this.here(session), (client) => client === undefined ? undefined : tickets.seal(session))
  }

  find(id: string, principal: string): Seat | undefined {
    const session = this.#options.tickets.open(id, principal)
    return session === undefined || this.#ended.has(session.name) ? undefined : this.#seat(session)
  }

  modern(parts: SessionParts, { isAnywhere }: { readonly isAnywhere: boolean }): Effect.Effect<Seat | undefined> {
    return isAnywhere ? this.#options.clients.modern(parts) : Effect.sync(() => this.#seat(this.#common(parts)))
  }

  close(client: ClientSession): Effect.Effect<void> {
    return Effect.suspend(() => {
      const [oldest] = this.#ended
      if (oldest !== undefined && this.#ended.size >= endedLimit) this.#ended.delete(oldest)
      this.#ended.add(client.name)
      return this.#options.clients.close(client)
    })
  }

  /** Gives a session that this node owns. */
  here(session: NamedSession): Effect.Effect<ClientSession | "ended" | undefined> {
    const { clients, owned } = this.#options
    if (this.#ended.has(session.name)) return Effect.succeed("ended")
    return Effect.tap(clients.getOrMake(session), (client) => client === undefined ? Effect.void : owned.keep(client))
  }

  /** The session that clients without one share. Its ticket is made once a day. */
  #common(parts: SessionParts): TicketedSession {
    const name = commonName(parts)
    const now = this.#options.now()
    const known = this.#commons.get(name)
    if (known !== undefined && now - known.madeAt < ticketAge) return known.session
    const session = { ...parts, name, ticket: this.#options.tickets.seal({ ...parts, name }) }
    const [oldest] = this.#commons.keys()
    if (oldest !== undefined && this.#commons.size >= commonLimit) this.#commons.delete(oldest)
    this.#commons.set(name, { session, madeAt: now })
    return session
  }

  #seat(session: TicketedSession): Seat {
    return { use: (exchange, here) => void this.#options.fork(this.#place(session, exchange, here)) }
  }

  /** Has an exchange handled by the owner of its session, whichever node that is by then. */
  #place(
    session: TicketedSession,
    exchange: Exchange,
    here: (client: ClientSession, exchange: Exchange) => void
  ): Effect.Effect<void> {
    const { dispatcher, forwarding, holds, owned, streams } = this.#options
    const bucket = bucketOf(session.name)
    const passage = new Passage(exchange, streams)
    const isStream = exchange.request.method === "GET"
    const over = (failure?: "lost" | "noOwner") => {
      if (failure !== undefined) passage.fail(failure)
      exchange.onEnd()
    }
    return Effect.gen({ self: this }, function*() {
      for (let attempt = 1; !passage.isOver; attempt++) {
        const activation = yield* Effect.catch(holds.owner(bucket), () => Effect.undefined)
        if (activation === undefined) return over("noOwner")
        const end = owned.begin(bucket, activation.id)
        if (end !== undefined) {
          const client = yield* this.here(session)
          if (client === undefined || client === "ended") {
            end()
            refuseSession(exchange.response, client ?? "limited", exchange.messages)
            return over()
          }
          if (isStream) {
            restore(dispatcher, client, passage.state)
            end()
          }
          return here(client, {
            ...exchange,
            onEnd: () => {
              end()
              exchange.onEnd()
            }
          })
        }
        const outcome = yield* forwarding.attempt({ activation, bucket, exchange, passage, session })
        yield* Metric.update(Metric.withAttributes(hops, { outcome }), 1)
        if (outcome === "done") return over()
        if (outcome === "lost" && !passage.isRepeatable) return over("lost")
        // Only a stream goes on for as long as its client wants it.
        if (!isStream && attempt >= maxAttempts) return over(outcome === "lost" ? "lost" : "noOwner")
        yield* Effect.sleep(attemptAgain)
      }
      return over()
    })
  }
}
