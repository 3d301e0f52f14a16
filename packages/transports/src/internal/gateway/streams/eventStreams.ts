/**
 * Event streams to clients: each message is one server-sent event.
 *
 * A client that does not read is cut off, and idle streams carry a comment every 25 seconds, so that proxies keep them and dead ones end.
 *
 * @see https://html.spec.whatwg.org/multipage/server-sent-events.html
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { ServerResponse } from "node:http"
import { onClosed } from "../http/http.ts"
import { type Outgoing, textOf } from "./outgoing.ts"

/** How much of a stream a client may leave unread, in bytes, before it is cut off. */
const maxUnread = 4 * 1024 ** 2

/** How often an idle stream carries a comment. */
const keepAliveInterval = "25 seconds"

/** How often streams are looked for whose authorization has expired. */
const expiryInterval = "1 second"

const streamHeaders = {
  "content-type": "text/event-stream",
  "cache-control": "no-cache, no-transform",
  "x-accel-buffering": "no",
  "x-content-type-options": "nosniff"
}

/** A stream that belongs to the requests of one POST. */
export interface ReplyStream {
  /** Sends a message; `false` if that is not possible. */
  send(message: Outgoing): boolean
  /** Sends a response. */
  settle(message: string): void
  /** Ends the stream, after the last response. */
  end(): void
  /** Writes no more to a response, and leaves it open. */
  detach?(response: ServerResponse): void
}

export class EventStreams {
  readonly #open = new Set<ServerResponse>()
  /** When streams end, in milliseconds since the epoch. */
  readonly #expiring = new Map<ServerResponse, number>()
  /** Milliseconds since the epoch. */
  readonly #timeOfDay: () => number

  private constructor(timeOfDay: () => number) {
    this.#timeOfDay = timeOfDay
  }

  /** Makes streams that carry comments, and end with their authorization, until the scope closes. */
  static readonly make = (timeOfDay: () => number): Effect.Effect<EventStreams, never, Scope.Scope> =>
    Effect.gen(function*() {
      const streams = new EventStreams(timeOfDay)
      const every = (interval: Duration.Input, run: () => void) =>
        Effect.forkScoped(Effect.forever(Effect.andThen(Effect.sleep(interval), Effect.sync(run))))
      yield* every(keepAliveInterval, () => streams.#keepAlive())
      yield* every(expiryInterval, () => streams.#expire())
      return streams
    })

  /** The number of open streams. */
  get size(): number {
    return this.#open.size
  }

  /** Makes a response an event stream. */
  begin(response: ServerResponse): void {
    // The stream continues from another node.
    if (!response.headersSent) response.writeHead(200, streamHeaders)
    if (this.#open.has(response)) return
    this.#open.add(response)
    onClosed(response, () => this.#open.delete(response))
  }

  /** Ends a response that is to be a stream, at a time of day in milliseconds since the epoch. `undefined`: never. */
  endAt(response: ServerResponse, expiresAt: number | undefined): void {
    if (expiresAt === undefined) return
    this.#expiring.set(response, expiresAt)
    onClosed(response, () => this.#expiring.delete(response))
  }

  /** Sends a message, with an id if it has one; `false` if the stream has ended. */
  send(response: ServerResponse, message: string, id?: string): boolean {
    return this.write(
      response,
      `${
        id === undefined ? "" : `id: ${id}
`
      }event: message
data: ${message}

`
    )
  }

  /** Sends an event that is encoded already; `false` if the stream has ended. */
  write(response: ServerResponse, event: string): boolean {
    if (response.destroyed || response.writableEnded) return false
    if (response.writableLength > maxUnread) {
      response.destroy()
      return false
    }
    response.write(event)
    return true
  }

  /** Makes a response a stream that ends with it. */
  readonly begun = (response: ServerResponse): ReplyStream => {
    this.begin(response)
    return {
      send: (message) => this.send(response, textOf(message)),
      settle: (message) => void this.send(response, message),
      end: () => void response.end()
    }
  }

  /** Ends all streams. */
  close(): void {
    for (const response of this.#open) response.end()
  }

  #keepAlive(): void {
    for (const response of this.#open) if (response.writableLength === 0) response.write(": keep-alive\n\n")
  }

  #expire(): void {
    if (this.#expiring.size === 0) return
    const now = this.#timeOfDay()
    for (const [response, expiresAt] of this.#expiring) if (expiresAt <= now) response.end()
  }
}
