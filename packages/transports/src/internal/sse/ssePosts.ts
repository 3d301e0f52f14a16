/**
 * The POSTs of an SSE session: sent to its endpoint through redirects, and accepted by a status 2xx.
 */
import { clearTimeout, setTimeout } from "node:timers"
import { redirectOf } from "../http/httpEndpoint.ts"
import { type End, Exchange, type Refusal, type Target, type Wire } from "../http/httpExchange.ts"
import { LingeringExchanges } from "../http/lingeringExchanges.ts"

/** How a POST was not accepted. */
type PostFailure = Refusal | Extract<End, { readonly _tag: "Broken" }>

/** A message to post. */
export interface Post {
  readonly text: string
  readonly onStart: (() => void) | undefined
  /** Called once, unless the exchange is aborted: with the failure, or with `undefined` if the server has accepted the message. */
  readonly onEnd: (failure: PostFailure | undefined) => void
  /** The latest exchange of the message. */
  exchange: Exchange | undefined
  /** Runs while the time for the message is limited. */
  timer: NodeJS.Timeout | undefined
}

interface Options extends Wire {
  /** The headers of the definition, names and values in turn. */
  readonly given: ReadonlyArray<string>
}

export class SsePosts {
  readonly #options: Options
  /** Messages that were not accepted yet. */
  readonly #posts = new Set<Post>()
  /** Posts that were accepted, and whose bodies have not ended. */
  #lingering: LingeringExchanges | undefined

  /** Where messages are posted to; `undefined` until the server names it. */
  endpoint: Target | undefined

  constructor(options: Options) {
    this.#options = options
  }

  /** Posts to the endpoint, through its redirects. */
  post(post: Post, redirects = 0): void {
    const target = this.endpoint
    if (target === undefined) return
    const { onEnd, onStart, text } = post
    const headers = [...this.#options.given, "content-type", "application/json"]
    const exchange = post.exchange = new Exchange(this.#options, {
      ...(onStart === undefined ? {} : { onStart }),
      // The response arrives on the stream. Some servers repeat it here.
      onMessage: () => {},
      onSkipped: () => {},
      onHead: (status) => {
        if (status < 200 || status >= 300) return
        // The status has accepted the message. The body may never end.
        this.#forget(post)
        ;(this.#lingering ??= new LingeringExchanges()).add(exchange)
        onEnd(undefined)
      },
      onEnd: (end) => {
        this.#lingering?.delete(exchange)
        if (!this.#posts.has(post)) return
        const next = end._tag === "Refused" ? redirectOf({ refusal: end, from: target, redirects }) : undefined
        if (next === undefined) {
          this.#forget(post)
          return onEnd(end._tag === "Refused" || end._tag === "Broken" ? end : undefined)
        }
        this.endpoint = next
        this.post(post, redirects + 1)
      }
    })
    this.#posts.add(post)
    exchange.start({ target, method: "POST", headers, body: text })
  }

  /** Gives up a message that is not accepted in time, in milliseconds. */
  limit(post: Post, millis: number, then?: () => void): void {
    if (!this.#posts.has(post)) return
    post.timer = setTimeout(() => {
      this.drop(post)
      then?.()
    }, millis)
  }

  /** Gives a message up. */
  drop(post: Post): void {
    this.#forget(post)
    post.exchange?.abort()
  }

  close(): void {
    for (const post of this.#posts) this.drop(post)
    this.#lingering?.close()
  }

  #forget(post: Post): void {
    clearTimeout(post.timer)
    this.#posts.delete(post)
  }
}
