/**
 * Table of the requests in flight on one channel, by consecutive integer ids.
 *
 * **Details**
 *
 * The table is a ring indexed by `id & mask`. Where the slot of the next id is still taken by an old request, the ring grows if it is half
 * full, and otherwise the id is skipped: one request that hangs must not make the ring grow with the number of requests after it. A
 * `Map` would allocate a new table as entries come and go, and old tables cost the garbage collector twenty times as much.
 *
 * The table alone turns the end of a channel into reasons, each with the delivery of the request that it ends.
 */
import type { OutgoingRequest } from "@mcp-sessions/core/Connection"
import { type CloseReason, TransportClosed } from "@mcp-sessions/core/SessionError"
import * as Exit from "effect/Exit"
import type { EndReason } from "./requestSink.ts"

/** The SDK's client counts its own few requests from 0. Small enough for servers that keep ids in 32 bits. */
const firstIdDefault = 1_000_000

const lastId = 2 ** 31 - 1

const firstCapacity = 8

export class InFlightTable {
  #ring: Array<OutgoingRequest | undefined> = emptyRing(firstCapacity)
  #mask = firstCapacity - 1
  #size = 0
  readonly #firstId: number
  #nextId: number
  #hasEnded = false

  constructor(firstId: number = firstIdDefault) {
    this.#firstId = this.#nextId = firstId
  }

  get size(): number {
    return this.#size
  }

  get capacity(): number {
    return this.#ring.length
  }

  /** Whether an id may be one of this table. */
  owns(id: unknown): id is number {
    return typeof id === "number" && id >= this.#firstId
  }

  /** Gives a request its id. `undefined`: the channel ended earlier, and the request was settled. */
  add(request: OutgoingRequest): number | undefined {
    if (this.#hasEnded) {
      request.settle(Exit.fail(new TransportClosed({ delivery: "NotSent" })))
      return undefined
    }
    let id = this.#nextId
    while (this.#ring[id & this.#mask] !== undefined) {
      if (this.#size * 2 > this.#mask) this.#grow()
      else id = this.#after(id)
    }
    this.#nextId = this.#after(id)
    this.#ring[id & this.#mask] = request
    this.#size++
    request.id = id
    return id
  }

  get(id: number): OutgoingRequest | undefined {
    const request = this.#ring[id & this.#mask]
    return request !== undefined && request.id === id ? request : undefined
  }

  has(request: OutgoingRequest): boolean {
    return typeof request.id === "number" && this.#ring[request.id & this.#mask] === request
  }

  /** Removes a request. `false`: it was not in flight. */
  remove(request: OutgoingRequest): boolean {
    if (!this.has(request)) return false
    this.#ring[(request.id as number) & this.#mask] = undefined
    this.#size--
    return true
  }

  /** Returns the requests in flight, in the order of their ids. */
  all(): ReadonlyArray<OutgoingRequest> {
    return this.#ring.filter((request) => request !== undefined).toSorted((a, b) => (a.id as number) - (b.id as number))
  }

  /** Ends all requests in flight and all that are added from then on. Returns why the channel ended. */
  failAll(end: EndReason): CloseReason {
    const ended = this.all()
    this.#hasEnded = true
    this.#ring = emptyRing(firstCapacity)
    this.#mask = firstCapacity - 1
    this.#size = 0
    for (const request of ended) request.settle(Exit.fail(end(request.isWritten ? "Unknown" : "NotSent")))
    return end("Unknown")
  }

  #after(id: number): number {
    return id === lastId ? this.#firstId : id + 1
  }

  /** Doubles the ring. Ids that differ in their last bits still do with one bit more. */
  #grow(): void {
    const old = this.#ring
    this.#mask = this.#mask * 2 + 1
    this.#ring = emptyRing(this.#mask + 1)
    for (const request of old) {
      if (request !== undefined) this.#ring[(request.id as number) & this.#mask] = request
    }
  }
}

const emptyRing = (capacity: number): Array<OutgoingRequest | undefined> =>
  Array.from({ length: capacity }, () => undefined)
