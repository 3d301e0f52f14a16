/**
 * Delivers messages in the order in which they arrived, a bounded amount in each turn of the event loop.
 *
 * **Details**
 *
 * The SDK's client settles a response at once but runs the handler of a notification in a microtask. Where both arrive in one chunk,
 * the response would overtake the notification. So the messages after a notification for the client wait until the microtasks have run.
 * The engine handles its messages synchronously: what it takes never makes others wait.
 *
 * Each channel has a slice of a turn, in bytes that were read and messages that were delivered. When the slice is used up, messages wait
 * for the next turn, so that the other channels have theirs, and each source of the channel pauses after the chunk that it is
 * delivering. Therefore at most one chunk of each source waits here; what the server writes beyond it stays in its own buffers.
 *
 * A request of the server is refused while too many replies wait to be taken by the server. Reading goes on: a server that writes before it
 * reads would otherwise wait for this process, and this process for the server.
 */
import type { OutgoingRequest } from "@mcp-sessions/core/Connection"
import type { JSONRPCMessage, JSONRPCRequest, Transport } from "@modelcontextprotocol/client"
import process from "node:process"
import { setImmediate } from "node:timers"
import { forClient } from "./inboundReader.ts"
import type { RequestSink } from "./requestSink.ts"

/** How much of a turn one channel takes, in bytes. */
export const sliceLimit = 64 * 1024

/** How many bytes the delivery of a message counts for. */
export const messageCost = 256

/** How many replies may wait for the server. From then on its requests are refused, and from twice as many on ignored. */
export const replyLimit = 32

/** The callbacks of a transport. They are looked up for each message, because the SDK replaces them when it probes. */
type Callbacks =
  & Pick<RequestSink, "pendingReplies" | "receiver">
  & Pick<Transport, "onerror" | "onmessage" | "send">

/** A stream that messages are read from. */
export interface Source {
  readonly pause: () => unknown
  readonly resume: () => unknown
}

type Waiting = { readonly message: JSONRPCMessage; readonly call: OutgoingRequest | undefined } | (() => void)

export class OrderedInbox {
  readonly #callbacks: Callbacks
  /** What waits, from `#head` on. */
  #waiting: Array<Waiting> = []
  #head = 0
  /** Whether messages wait for the microtasks or for the next turn. */
  #isHeld = false
  #spent = 0
  #paused: Set<Source> | undefined
  #refused = 0
  #ignored = 0
  #isClosed = false

  constructor(callbacks: Callbacks) {
    this.#callbacks = callbacks
  }

  /** Delivers a message. `call` is the request on whose response stream it arrived, where that is known. */
  push(message: JSONRPCMessage, call?: OutgoingRequest): void {
    if (this.#isHeld) this.#waiting.push({ message, call })
    else this.#deliver(message, call)
  }

  /** To be called after each chunk. Pauses its source while messages wait. */
  onChunk(bytes: number, source: Source): void {
    this.#spent += bytes
    if (!this.#isHeld && this.#spent >= sliceLimit) this.#hold()
    if (!this.#isHeld || this.#isClosed) return
    source.pause()
    ;(this.#paused ??= new Set()).add(source)
  }

  /** Calls back after the messages that wait: the channel has ended, and these had arrived before. */
  end(then: () => void): void {
    if (this.#isHeld) this.#waiting.push(then)
    else then()
  }

  /** Drops what waits, and all later messages. */
  close(): void {
    this.#isClosed = true
    this.#waiting = []
    this.#head = 0
    this.#resume()
  }

  /** Returns a sentence about the requests that were not answered. */
  warnings(): ReadonlyArray<string> {
    return this.#refused + this.#ignored === 0
      ? []
      : [`does not take replies as fast as it sends requests: ${this.#refused} refused, ${this.#ignored} ignored`]
  }

  #deliver(message: JSONRPCMessage, call: OutgoingRequest | undefined): void {
    if (this.#isClosed) return
    this.#spent += messageCost
    let isForClient = true
    try {
      const pendingReplies = "method" in message && "id" in message ? this.#callbacks.pendingReplies ?? 0 : 0
      if (pendingReplies >= replyLimit) {
        this.#refuse(message as JSONRPCRequest, pendingReplies)
        isForClient = false
      } else if (this.#callbacks.receiver?.take(message, call) === true) isForClient = false
      else this.#callbacks.onmessage?.(forClient(message))
    } catch (error) {
      // A callback that throws must not stop the other messages, nor the process.
      this.#report(error)
    }
    if (this.#spent >= sliceLimit || (isForClient && !("id" in message))) this.#hold()
  }

  #hold(): void {
    this.#isHeld = true
    if (this.#spent < sliceLimit) return queueMicrotask(this.#afterMicrotasks)
    this.#spent = 0
    setImmediate(this.#release)
  }

  /** Ticks run once there are no more microtasks. */
  readonly #afterMicrotasks = (): void => process.nextTick(this.#release)

  readonly #release = (): void => {
    this.#isHeld = false
    while (this.#head < this.#waiting.length) {
      const next = this.#waiting[this.#head++]
      if (typeof next === "function") next()
      else if (next !== undefined) this.#deliver(next.message, next.call)
      if (this.#isHeld) return
    }
    this.#waiting = []
    this.#head = 0
    this.#resume()
  }

  #resume(): void {
    const paused = this.#paused
    this.#paused = undefined
    if (paused !== undefined) { for (const source of paused) source.resume() }
  }

  #refuse({ id }: JSONRPCRequest, pendingReplies: number): void {
    if (pendingReplies >= 2 * replyLimit) {
      this.#ignored++
      return
    }
    this.#refused++
    const error = { code: -32000, message: "too many replies to earlier requests were not taken yet" }
    this.#callbacks.send({ jsonrpc: "2.0", id, error }).catch((error: unknown) => this.#report(error))
  }

  #report(error: unknown): void {
    this.#callbacks.onerror?.(error instanceof Error ? error : new Error(String(error)))
  }
}
