/**
 * Server subscription of the legacy era: the server notifies of list changes unasked, and of a resource after `resources/subscribe`.
 *
 * @see https://modelcontextprotocol.io/specification/2025-11-25/server/resources#subscriptions
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import type { Connection } from "../../../Connection.ts"
import type { Reason } from "../../../SessionError.ts"
import {
  type Interests,
  type ListeningStream,
  openStream,
  type Refusal,
  type ServerSubscription,
  type SubscriberOptions,
  unsupported
} from "./serverSubscription.ts"

const unsubscribeTimeout = "5 seconds"

/** The unsubscribe requests in flight on each connection, by URI. */
const unsubscribing = new WeakMap<Connection, Map<string, Fiber.Fiber<void>>>()

export class LegacySubscription implements ServerSubscription {
  readonly #options: SubscriberOptions
  readonly #subscribed = new Set<string>()
  readonly #unsubscribing: Map<string, Fiber.Fiber<void>>
  #stream: ListeningStream | undefined

  constructor(options: SubscriberOptions) {
    this.#options = options
    this.#unsubscribing = unsubscribing.get(options.connection) ?? new Map()
    unsubscribing.set(options.connection, this.#unsubscribing)
  }

  get ended(): Effect.Effect<void> {
    return Effect.suspend(() => this.#stream === undefined ? Effect.never : Deferred.await(this.#stream.ended))
  }

  align({ lists, uris }: Interests) {
    return Effect.gen({ self: this }, function*() {
      const isWanted = lists || uris.length > 0
      const hadGap = this.#stream !== undefined && Deferred.isDoneUnsafe(this.#stream.ended)
      if (this.#stream !== undefined && (hadGap || !isWanted)) {
        yield* Scope.close(this.#stream.scope, Exit.void)
        this.#stream = undefined
      }
      if (this.#stream === undefined && isWanted) this.#stream = yield* openStream({ ...this.#options, filter: {} })
      const left = [...this.#subscribed].filter((uri) => !uris.includes(uri))
      for (const uri of left) this.#subscribed.delete(uri)
      yield* Effect.forEach(left, (uri) => this.#unsubscribe(uri), { discard: true })
      const added = uris.filter((uri) => !this.#subscribed.has(uri))
      const refusals = yield* Effect.forEach(added, (uri) => this.#subscribe(uri), { concurrency: "unbounded" })
      return { refusals: refusals.flat(), hadGap }
    })
  }

  #subscribe(uri: string): Effect.Effect<ReadonlyArray<Refusal>, Reason> {
    const method = "resources/subscribe"
    const { info, request } = this.#options
    if (info.capabilities.resources?.subscribe !== true) {
      return Effect.succeed([{ uri, reason: unsupported({ uri, method }) }])
    }
    return Effect.gen({ self: this }, function*() {
      // An unsubscribe in flight could overtake the subscribe.
      const left = this.#unsubscribing.get(uri)
      if (left !== undefined) yield* Fiber.await(left)
      return yield* Effect.matchEffect(request(method, this.#send(method, uri)), {
        onSuccess: () => {
          this.#subscribed.add(uri)
          return Effect.succeed([])
        },
        onFailure: (reason) => reason.losesConnection ? Effect.fail(reason) : Effect.succeed([{ uri, reason }])
      })
    })
  }

  /** Best effort: notifications after a failed unsubscribe are ignored. */
  #unsubscribe(uri: string) {
    return this.#send("resources/unsubscribe", uri).pipe(
      Effect.timeout(unsubscribeTimeout),
      Effect.ignore,
      Effect.ensuring(Effect.sync(() => this.#unsubscribing.delete(uri))),
      Effect.forkDetach,
      Effect.map((fiber) => this.#unsubscribing.set(uri, fiber))
    )
  }

  #send(method: string, uri: string): Effect.Effect<unknown, Reason> {
    return this.#options.connection.request({ method, params: { uri } })
  }
}
