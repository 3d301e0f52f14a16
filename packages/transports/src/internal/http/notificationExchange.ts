/**
 * Sends one message that has no response over HTTP: a notification, or a response to a request of the server.
 */
import { clearTimeout, setTimeout } from "node:timers"
import type { MessageSink } from "../jsonRpc/inboundReader.ts"
import type { HttpEndpoint } from "./httpEndpoint.ts"
import { Exchange, type Refusal, type Wire } from "./httpExchange.ts"

/** How sending a message failed. */
export type NotificationFailure = Refusal | { readonly _tag: "Broken"; readonly error: unknown }

export interface NotificationExchange {
  readonly abort: () => void
}

/**
 * Posts a message. `onEnd` is called once: with `undefined` when the status has accepted it or the time is up, or with the failure. The body
 * is of no consequence, and may never end: `onOver` is called when it has.
 */
export const postNotification = (options: {
  readonly wire: Wire
  readonly endpoint: HttpEndpoint
  readonly headers: Array<string>
  readonly text: string
  /** How long to wait for the status, in milliseconds. */
  readonly timeout: number | undefined
  /** Receives what a server says here though nothing was asked. */
  readonly sink: MessageSink
  readonly onEnd: (failure: NotificationFailure | undefined) => void
  readonly onOver: () => void
}): NotificationExchange => {
  const { endpoint, headers, sink, text, timeout, wire } = options
  let current: Exchange | undefined
  let isSettled = false
  const settle = (failure: NotificationFailure | undefined): void => {
    if (isSettled) return
    isSettled = true
    clearTimeout(timer)
    options.onEnd(failure)
  }
  const timer = timeout === undefined ? undefined : setTimeout(() => {
    current?.abort()
    settle(undefined)
  }, timeout)
  const post = (redirects: number): void => {
    current = new Exchange(wire, {
      ...sink,
      onHead: (status) => {
        if (status >= 200 && status < 300) settle(undefined)
      },
      onEnd: (end) => {
        if (end._tag === "Refused" && endpoint.follow(end, redirects)) return post(redirects + 1)
        settle(end._tag === "Refused" || end._tag === "Broken" ? end : undefined)
        options.onOver()
      }
    }).start({ target: endpoint.target, method: "POST", headers, body: text })
  }
  post(0)
  return {
    abort: () => {
      isSettled = true
      clearTimeout(timer)
      current?.abort()
    }
  }
}
