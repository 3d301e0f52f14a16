/**
 * Cluster router: each session is on the node that owns its bucket, and every node takes every request.
 */
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Metric from "effect/Metric"
import { isRequest } from "../gateway/call/dispatcher.ts"
import { releaseReply } from "../gateway/client/clientCall.ts"
import type { Clients } from "../gateway/client/clients.ts"
import type { ClientSession } from "../gateway/client/clientSession.ts"
import type {
  Exchange,
  NamedSession,
  Router,
  SessionLocation,
  SessionParts
} from "../gateway/client/sessionLocation.ts"
import { answerEmpty, onClosed } from "../gateway/http/http.ts"
import type { EventStreams } from "../gateway/streams/eventStreams.ts"
import type { Announcements } from "./announcements.ts"
import { bucketOf, commonName, newName } from "./buckets.ts"
import { restore, stateOf } from "./clientState.ts"
import type { EndedSessions } from "./endedSessions.ts"
import type { Forwarding } from "./forward.ts"
import type { Holds } from "./holds.ts"
import type { OwnedBuckets } from "./ownedBuckets.ts"
import { type Failure, Passage } from "./passage.ts"
import { refuseSession } from "./refusals.ts"
import type { Stalls } from "./stalls.ts"
import type { TicketedSession, Tickets } from "./ticket.ts"

/** How long after a failed attempt the next one begins, and how many there are in all. */
const [attemptAgain, maxAttempts] = ["100 millis", 150] as const

/** After how many failed attempts it is asked whether the database is there, and who the owner is. */
const [attemptsToAsk, attemptsToDoubt] = [4, 5]

/** How long a ticket of a common session is used, in milliseconds, and how many are kept. */
const [ticketAge, commonLimit] = [24 * 60 * 60 * 1000, 4096]

const hops = Metric.counter("mcp_sessions_fleet_hops_total", {
  description: "Requests that this node sent to the owner of their session",
  incremental: true
})

export interface ClusterRouterOptions {
  readonly clients: Clients
  readonly streams: EventStreams
  readonly fork: <A, E>(effect: Effect.Effect<A, E>) => Fiber.Fiber<A, E>
  readonly tickets: Tickets
  readonly holds: Holds
  readonly owned: OwnedBuckets
  readonly forwarding: Forwarding
  readonly ended: EndedSessions
  readonly announcements: Announcements
  readonly stalls: Stalls
  /** Monotonic time in milliseconds. */
  readonly now: () => number
}

type Here = (client: ClientSession, exchange: Exchange) => void

/** Whether an exchange asks for a stream of changes, which stays open. */
const isListen = ({ messages }: Exchange): boolean =>
  messages.some((message) => isRequest(message) && message.method === "subscriptions/listen")

export class ClusterRouter implements Router {
  readonly hasOwners = true
  readonly #options: ClusterRouterOptions
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

  find(id: string, principal: string): SessionLocation | undefined {
    const { ended, tickets } = this.#options
    const session = tickets.open(id, principal)
    return session === undefined || ended.has(session.name) ? undefined : this.#location(session)
  }

  modern(
    parts: SessionParts,
    { isAnywhere, owner }: { readonly isAnywhere: boolean; readonly owner: NamedSession | undefined }
  ): Effect.Effect<SessionLocation | undefined> {
    const { clients, tickets } = this.#options
    if (isAnywhere) return clients.modern(parts)
    return Effect.sync(() =>
      this.#location(owner === undefined ? this.#common(parts) : { ...owner, ticket: tickets.seal(owner) })
    )
  }

  close(client: ClientSession): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.#options.announcements.end(client.name)
      return this.#options.clients.close(client)
    })
  }

  /** Gives a session that this node owns. */
  here(session: NamedSession): Effect.Effect<ClientSession | "ended" | undefined> {
    const { clients, ended, owned } = this.#options
    if (ended.has(session.name)) return Effect.succeed("ended")
    return Effect.tap(clients.getOrMake(session), (client) => client === undefined ? Effect.void : owned.keep(client))
  }

  /** Ends a session that this node owns and has not made. Returns `false` if it has. Nothing is made to be ended, so no limit applies. */
  endUnmade({ name }: NamedSession): boolean {
    const { announcements, clients, ended } = this.#options
    if (ended.has(name) || clients.get(name) !== undefined) return false
    announcements.end(name)
    return true
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

  #location(session: TicketedSession): SessionLocation {
    const { fork, streams } = this.#options
    return {
      use: (exchange, here) => {
        const passage = new Passage(exchange, streams)
        let isOver = false
        const onEnd = () => {
          if (isOver) return
          isOver = true
          exchange.onEnd()
        }
        const place = this.#place(session, { ...exchange, onEnd }, passage, here)
        void fork(Effect.catchDefect(place, (defect) => {
          passage.fail("lost")
          onEnd()
          return Effect.logError("a request could not be handed to the node that has its session", defect)
        }))
      }
    }
  }

  /** Has an exchange handled by the owner of its session, whichever node that is by then. */
  #place(session: TicketedSession, exchange: Exchange, passage: Passage, here: Here): Effect.Effect<void> {
    const { forwarding, holds, owned, stalls } = this.#options
    const bucket = bucketOf(session.name)
    // Only a stream has no limit of attempts.
    const isStream = exchange.request.method === "GET" || isListen(exchange)
    // Whether an owner may have handled it that its bucket has left.
    let wasSent = false
    const over = (failure?: Failure) => {
      if (failure !== undefined) passage.fail(failure === "noOwner" && wasSent ? "lost" : failure)
      exchange.onEnd()
    }
    return Effect.gen({ self: this }, function*() {
      for (let attempt = 1; !passage.isOver; attempt++) {
        const activation = yield* Effect.catch(holds.owner(bucket), () => Effect.undefined)
        if (activation === undefined) return over("noOwner")
        // The client may have disconnected while its session had no owner.
        if (passage.isOver) break
        // After a pause, a node waits until it knows its buckets.
        const end = stalls.isRefusing ? undefined : owned.begin(bucket, activation.id)
        if (end !== undefined) {
          // A defect would leave the exchange in its bucket, and the next move would wait for it.
          const isMoved = yield* Effect.onError(
            this.#handle(session, { exchange, passage, end, here }),
            () => Effect.sync(end)
          )
          if (!isMoved) return
          wasSent = true
          continue
        }
        const isRepeated = attempt > 1
        const outcome = yield* forwarding.attempt({ activation, bucket, exchange, isRepeated, passage, session })
        yield* Metric.update(Metric.withAttributes(hops, { outcome }), 1)
        if (outcome === "done") return over()
        if (outcome === "large") return over("large")
        if (outcome === "lost") wasSent = true
        if (outcome === "lost" && passage.isAnswered) {
          passage.end()
          return over()
        }
        if (outcome === "lost" && !passage.isRepeatable) return over("lost")
        // The cluster does not always detect that the owner is gone.
        if (attempt % attemptsToDoubt === 0) holds.doubt(bucket, activation)
        // An owner that gives its buckets up refuses. Without the database, no other node gets them.
        if (outcome === "refused" && attempt % attemptsToAsk === 0 && (yield* holds.isAway)) return over("noOwner")
        if (!isStream && attempt >= maxAttempts) return over("noOwner")
        yield* Effect.sleep(attemptAgain)
      }
      return over()
    })
  }

  /** Handles an exchange with a session that this node owns. Returns whether it continues at the next owner: a stream, or repeated requests. */
  #handle(session: NamedSession, { end, exchange, here, passage }: {
    readonly exchange: Exchange
    readonly passage: Passage
    /** Ends the exchange for its bucket. */
    readonly end: () => void
    readonly here: Here
  }): Effect.Effect<boolean> {
    const { owned } = this.#options
    const { request: { headers, method }, response } = exchange
    const bucket = bucketOf(session.name)
    if (method === "DELETE" && this.endUnmade(session)) {
      end()
      answerEmpty(response, 200)
      exchange.onEnd()
      return Effect.succeed(false)
    }
    return Effect.flatMap(this.here(session), (client) => {
      if (client === undefined || client === "ended") {
        end()
        refuseSession(response, client ?? "limited", exchange.messages)
        exchange.onEnd()
        return Effect.succeed(false)
      }
      if (method === "POST" && passage.isRepeatable && !isListen(exchange)) {
        return this.#repeatable(client, { exchange, end, here })
      }
      if (method !== "GET") {
        if (isListen(exchange)) owned.breakOnMove(bucket, response)
        here(client, {
          ...exchange,
          onEnd: () => {
            end()
            exchange.onEnd()
          }
        })
        // Only a POST has an end of its own.
        if (method === "DELETE") end()
        return Effect.succeed(false)
      }
      const restored = restore(client, passage.state)
      const { lastEventId } = passage
      const resumed = { ...headers, ...(lastEventId === undefined ? {} : { "last-event-id": lastEventId }) }
      return Effect.andThen(
        restored,
        Effect.suspend(() => {
          here(client, { ...exchange, request: { method, headers: resumed } })
          end()
          return this.#moves(bucket, client, passage)
        })
      )
    })
  }

  /** Handles requests that may be handled twice. Returns whether their session moved before they had ended. */
  #repeatable(client: ClientSession, { end, exchange, here }: {
    readonly exchange: Exchange
    readonly end: () => void
    readonly here: Here
  }): Effect.Effect<boolean> {
    const { owned } = this.#options
    const bucket = bucketOf(client.name)
    return Effect.callback((resume) => {
      const settle = (isMoved: boolean) => {
        removeListener()
        end()
        resume(Effect.succeed(isMoved))
      }
      const removeListener = owned.onMove((moving) => {
        if (moving === bucket && !owned.isDraining && releaseReply(client.calls.values(), exchange.response)) {
          settle(true)
        }
      })
      here(client, {
        ...exchange,
        onEnd: () => {
          settle(false)
          exchange.onEnd()
        }
      })
      return Effect.sync(removeListener)
    })
  }

  /** Waits until a stream is over, or until its session moves, which leaves it open. Returns whether the session moves. */
  #moves(bucket: number, client: ClientSession, passage: Passage): Effect.Effect<boolean> {
    const { response } = passage
    return Effect.callback((resume) => {
      if (passage.isOver) return resume(Effect.succeed(false))
      let removeOnClosed = () => {}
      const removeListener = this.#options.owned.onMove((moving) => {
        if (moving !== bucket) return
        passage.state = stateOf(client)
        client.output.release(response)
        settle(true)
      })
      const settle = (isMoved: boolean) => {
        removeListener()
        removeOnClosed()
        resume(Effect.succeed(isMoved))
      }
      removeOnClosed = onClosed(response, () => settle(false))
      return Effect.sync(() => settle(false))
    })
  }
}
