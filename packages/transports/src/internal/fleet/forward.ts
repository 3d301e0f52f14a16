/**
 * Forwarding: sends an exchange to the node that owns its session, and passes the response back as it comes.
 *
 * One attempt is one HTTP request. It is known of each whether the owner may have handled it: not if no connection was made, nor if the owner
 * refused it.
 */
import * as Effect from "effect/Effect"
import * as Http from "node:http"
import * as Https from "node:https"
import { TLSSocket } from "node:tls"
import type { Exchange } from "../gateway/client/sessionLocation.ts"
import { onClosed } from "../gateway/http/http.ts"
import type { Holds } from "./holds.ts"
import { hopHeaders, type Hops, notOwner } from "./hop.ts"
import type { Activation } from "./ownership.ts"
import type { Passage } from "./passage.ts"
import type { TicketedSession } from "./ticket.ts"
import type { TlsOptions } from "./tls.ts"

/**
 * How an attempt ended: `done` with the response of the owner, `moved` as a stream that continues at another owner, `refused` before the owner handled
 * it, `lost` after it may have, `large` with a response that is not passed on.
 */
export type Attempt = "done" | "moved" | "refused" | "lost" | "large"

/** The connect timeout, and the time without data after which the owner is requested again, in milliseconds. */
const [connectTimeout, silenceTimeout] = [1000, 2000]

/** How long the stream of a previous owner may continue, in milliseconds. It ends with the state of the client. */
const endTimeout = 2000

/** The largest response and event, in characters. */
const maxResponse = 64 * 1024 ** 2

/** Whether the owner needs a header of the client. */
const isPassed = (name: string): boolean => name === "accept" || (name.startsWith("mcp-") && name !== "mcp-session-id")

/**
 * Whether a response says that no node has handled the request: that of an owner of something else, or one that HTTP has stopped before. Whatever
 * a node answers to a client has a body of JSON.
 */
const isRefusal = ({ headers: { "content-type": type }, statusCode = 0 }: Http.IncomingMessage): boolean =>
  statusCode === notOwner || (statusCode >= 400 && statusCode < 500 && type === undefined)

export class Forwarding {
  readonly #hops: Hops
  readonly #holds: Holds
  readonly #agent: Http.Agent
  readonly #request: typeof Http.request

  constructor({ holds, hops, tls }: {
    readonly hops: Hops
    readonly holds: Holds
    readonly tls: TlsOptions | undefined
  }) {
    this.#hops = hops
    this.#holds = holds
    const options = { keepAlive: true, maxSockets: Number.POSITIVE_INFINITY }
    this.#agent = tls === undefined ? new Http.Agent(options) : new Https.Agent({ ...options, ...tls })
    this.#request = tls === undefined ? Http.request : Https.request
  }

  close(): void {
    this.#agent.destroy()
  }

  /** Tells a node of ended sessions. Gives whether it has taken that. */
  tell(url: string, body: string): Effect.Effect<boolean> {
    return Effect.callback((resume) => {
      const hop = { method: "ENDED", principal: "", activation: "", isRepeated: false } as const
      const sent = this.#request(url, {
        method: "POST",
        agent: this.#agent,
        timeout: silenceTimeout,
        headers: {
          "content-length": Buffer.byteLength(body),
          [hopHeaders.seal]: this.#hops.seal(hop, "", body),
          [hopHeaders.ticket]: ""
        }
      })
      sent.once("timeout", () => sent.destroy())
      sent.on("error", () => resume(Effect.succeed(false)))
      sent.once("response", (response) => {
        response.resume()
        resume(Effect.succeed(response.statusCode === 200))
      })
      sent.end(body)
      return Effect.sync(() => sent.destroy())
    })
  }

  /** Makes one attempt. Interruption ends it. */
  attempt({ activation, bucket, exchange, isRepeated, passage, session }: {
    readonly exchange: Exchange
    readonly passage: Passage
    readonly session: TicketedSession
    readonly bucket: number
    readonly activation: Activation
    readonly isRepeated: boolean
  }): Effect.Effect<Attempt> {
    return Effect.callback((resume) => {
      const { ticket } = session
      const method = exchange.request.method as "DELETE" | "GET" | "POST"
      const body = method === "GET" ? passage.state : exchange.text
      const { principal } = exchange
      const seal = this.#hops.seal({ method, principal, activation: activation.id, isRepeated }, ticket, body)
      const { headers } = exchange.request
      const sent = this.#request(activation.url, {
        method: "POST",
        agent: this.#agent,
        headers: {
          ...Object.fromEntries(Object.entries(headers).filter(([name]) => isPassed(name))),
          ...(passage.lastEventId === undefined || method !== "GET" ? {} : { "last-event-id": passage.lastEventId }),
          "content-length": Buffer.byteLength(body),
          [hopHeaders.seal]: seal,
          [hopHeaders.ticket]: ticket
        }
      })
      let isConnected = false
      let isOver = false
      let removeOnClosed = () => {}
      const timer = setTimeout(() => sent.destroy(), connectTimeout)
      const doubt = setInterval(() => this.#holds.doubt(bucket, activation), silenceTimeout)
      const end = (attempt: Attempt, isWhole = false) => {
        if (isOver) return
        isOver = true
        clearTimeout(timer)
        clearTimeout(late)
        clearInterval(doubt)
        removeListener()
        removeOnClosed()
        resume(Effect.succeed(attempt))
        // A connection whose response is whole is used again.
        if (!isWhole) sent.destroy()
      }
      const connected = () => {
        isConnected = true
        clearTimeout(timer)
      }
      let late: NodeJS.Timeout | undefined
      const removeListener = this.#holds.onMoved(bucket, activation, () => {
        if (method === "GET") late = setTimeout(() => end("lost"), endTimeout)
        else end("lost")
      })
      sent.once("socket", (socket) => {
        // Over TLS, a socket that has connected is not yet one to the right node.
        const isReady = socket instanceof TLSSocket ? socket.authorized : !socket.connecting
        if (isReady) connected()
        else socket.once(activation.url.startsWith("https:") ? "secureConnect" : "connect", connected)
      })
      sent.on("error", () => end(isConnected ? "lost" : "refused"))
      sent.once("response", (response) => this.#receive(response, passage, end))
      sent.end(body)
      // The client has gone, so the owner should know.
      removeOnClosed = onClosed(passage.response, () => end("done"))
      return Effect.sync(() => end("lost"))
    })
  }

  #receive(
    response: Http.IncomingMessage,
    passage: Passage,
    end: (attempt: Attempt, isWhole?: boolean) => void
  ): void {
    const { headers: { "content-type": type, "retry-after": retryAfter }, statusCode = 0 } = response
    if (isRefusal(response)) {
      response.resume()
      return end("refused", true)
    }
    const isStream = type?.startsWith("text/event-stream") === true
    let text = ""
    let isMoved = false
    if (isStream) passage.begin()
    response.setEncoding("utf8")
    response.on("data", (chunk: string) => {
      // Only the end of what came before can be the begin of a separator.
      const hasEnd = isStream && (chunk.includes("\n\n") || (chunk.startsWith("\n") && text.endsWith("\n")))
      text += chunk
      if (text.length > maxResponse) return end("large")
      if (!hasEnd) return
      const events = text.split("\n\n")
      text = events.pop() ?? ""
      for (const event of events) {
        isMoved ||= event.startsWith("event: moved")
        passage.event(event)
      }
      if (passage.response.writableNeedDrain) {
        response.pause()
        passage.response.once("drain", () => response.resume())
      }
    })
    response.once("end", () => {
      if (!response.complete) return end("lost")
      if (isMoved) return end("moved", true)
      if (isStream) passage.end()
      else passage.answer(statusCode, { body: text, retryAfter, type })
      end("done", true)
    })
    response.once("error", () => end("lost"))
    response.once("close", () => end("lost"))
  }
}
