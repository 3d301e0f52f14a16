/**
 * Asks a session whether its server still knows it, before refused requests are believed to be refused for the session.
 *
 * One ping is in flight at a time, and all refused requests that wait share it. A session that was found lost stays lost, so later
 * requests share the last ping too.
 */
import type { JSONRPCRequest } from "@modelcontextprotocol/client"
import { clearTimeout, setTimeout } from "node:timers"
import { conclude, judge, type Ping, type RefusedRequest, type SessionKind, type Verdict } from "./refusal.ts"

/** How long the server may take to answer the ping, in milliseconds. */
const pingTimeoutDefault = 5000

/** The ids of the pings: of neither the SDK's client, which counts from 0, nor of the era probe (999,999) and the engine, which counts from there. */
const firstId = 900_000
const lastId = 999_998

/** The connection whose session is asked. */
export interface QuestionOwner {
  readonly transport: { readonly sessionKind: SessionKind }
  readonly redact: (text: string) => string
  /** How long the server may take to answer the ping, in milliseconds; 5 seconds by default. */
  readonly pingTimeout?: number | undefined
  /** Sends a ping, and calls back at most once when it ends. Returns the end of waiting for it. */
  readonly ping: (message: JSONRPCRequest, onEnd: (ping: Ping) => void) => () => void
}

export class SessionQuestion {
  readonly #owner: QuestionOwner
  #waiting: Array<(ping: Ping) => void> | undefined
  /** The refusal of the ping on a lost session. */
  #lost: Ping | undefined
  #stop: (() => void) | undefined
  #nextId = firstId

  constructor(owner: QuestionOwner) {
    this.#owner = owner
  }

  /** Calls back once with what a refused request ends with: at once, or when the session has been asked. Never after `close`. */
  resolve(options: Pick<RefusedRequest, "id" | "refusal">, then: (verdict: Verdict) => void): void {
    const { redact, transport } = this.#owner
    const request = { ...options, redact, session: transport.sessionKind }
    const verdict = judge(request)
    if (verdict !== "ask") return then(verdict)
    const onEnd = (ping: Ping): void => {
      const verdict = conclude(request, ping)
      if (verdict._tag === "Failed" && verdict.reason._tag === "SessionExpired") this.#lost = ping
      then(verdict)
    }
    if (this.#lost !== undefined) return onEnd(this.#lost)
    if (this.#waiting !== undefined) return void this.#waiting.push(onEnd)
    this.#waiting = [onEnd]
    this.#ask()
  }

  /** Ends the ping. Nobody is called back. */
  close(): void {
    this.#stop?.()
    this.#stop = this.#waiting = undefined
  }

  #ask(): void {
    const id = this.#nextId
    this.#nextId = id === lastId ? firstId : id + 1
    let isOver = false
    const onEnd = (ping: Ping): void => {
      if (isOver) return
      isOver = true
      clearTimeout(timer)
      const waiting = this.#waiting ?? []
      this.close()
      for (const then of waiting) then(ping)
    }
    const { ping, pingTimeout = pingTimeoutDefault } = this.#owner
    const timer = setTimeout(() => onEnd({ _tag: "Unanswered" }), pingTimeout)
    const stop = ping({ jsonrpc: "2.0", id, method: "ping" }, onEnd)
    this.#stop = () => {
      isOver = true
      clearTimeout(timer)
      stop()
    }
  }
}
