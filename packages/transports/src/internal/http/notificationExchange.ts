/**
 * Sends one message that has no response over HTTP: a notification, or a response to a request of the server.
 */
import type { JSONRPCMessage } from "@modelcontextprotocol/client"
import { clearTimeout, setTimeout } from "node:timers"
import type { HttpEndpoint } from "./httpEndpoint.ts"
import { Exchange, type Refusal, type Wire } from "./httpExchange.ts"

/** How sending a message failed. */
export type NotificationFailure = Refusal | { readonly _tag: "Broken"; readonly error: unknown }

export interface NotificationExchange {
  readonly abort: () => void
}

/** Posts a message. `onEnd` is called once: with `undefined` when the server has accepted it or the time is up, or with the failure. */
export const postNotification = (options: {
  readonly wire: Wire
  readonly endpoint: HttpEndpoint
  readonly headers: Array<string>
  readonly text: string
  /** How long to wait for the status, in milliseconds. */
  readonly timeout: number | undefined
  /** Receives what a server says here though nothing was asked. */
  readonly onMessage: (message: JSONRPCMessage) => void
  readonly onEnd: (failure: NotificationFailure | undefined) => void
}): NotificationExchange => {
  const { endpoint, headers, onMessage, text, timeout, wire } = options
  let current: Exchange | undefined
  const timer = timeout === undefined ? undefined : setTimeout(() => {
    current?.abort()
    options.onEnd(undefined)
  }, timeout)
  const post = (redirects: number): void => {
    current = new Exchange(wire, {
      onMessage,
      onEnd: (end) => {
        if (end._tag === "Refused" && endpoint.follow(end, redirects)) return post(redirects + 1)
        clearTimeout(timer)
        // The status has accepted the message, whatever the body says.
        options.onEnd(end._tag === "Refused" || end._tag === "Broken" ? end : undefined)
      }
    }).start({ target: endpoint.target, method: "POST", headers, body: text })
  }
  post(0)
  return {
    abort: () => {
      clearTimeout(timer)
      current?.abort()
    }
  }
}
