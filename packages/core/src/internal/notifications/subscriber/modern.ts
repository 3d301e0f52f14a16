/**
 * Server subscription of the modern era: the server notifies of nothing unless it is asked by `subscriptions/listen`, one request for all
 * interests.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import type { ListenFilter } from "../../../Connection.ts"
import type { ServerCapabilities } from "../../../Mcp.ts"
import type { Reason } from "../../../SessionError.ts"
import {
  type Alignment,
  type Interests,
  type ListeningStream,
  openStream,
  type Refusal,
  type ServerSubscription,
  type SubscriberOptions,
  unsupported
} from "./serverSubscription.ts"

const method = "subscriptions/listen"

/** The filter for what the server declares that it can notify of. */
const filterOf = ({ prompts, resources, tools }: ServerCapabilities, { lists, uris }: Interests): ListenFilter => ({
  ...(lists && tools?.listChanged === true ? { toolsListChanged: true } : {}),
  ...(lists && prompts?.listChanged === true ? { promptsListChanged: true } : {}),
  ...(lists && resources?.listChanged === true ? { resourcesListChanged: true } : {}),
  ...(uris.length === 0 ? {} : { resourceSubscriptions: uris.toSorted() })
})

const isSame = (left: Interests, right: Interests): boolean =>
  left.lists === right.lists && left.uris.length === right.uris.length &&
  left.uris.every((uri) => right.uris.includes(uri))

export class ModernSubscription implements ServerSubscription {
  readonly #options: SubscriberOptions
  #current: { readonly interests: Interests; readonly stream: ListeningStream } | undefined

  constructor(options: SubscriberOptions) {
    this.#options = options
  }

  get ended(): Effect.Effect<void> {
    return Effect.suspend(() => this.#current === undefined ? Effect.never : Deferred.await(this.#current.stream.ended))
  }

  align(interests: Interests): Effect.Effect<Alignment, Reason> {
    return Effect.suspend(() => {
      const isOffered = this.#options.info.capabilities.resources?.subscribe === true
      if (isOffered || interests.uris.length === 0) return this.#align(interests)
      return this.#alignWithout(interests, interests.uris, (uri) => unsupported({ uri, method }), [])
    })
  }

  #align(interests: Interests): Effect.Effect<Alignment, Reason> {
    const current = this.#current?.interests
    if (current !== undefined && !this.#hasEnded && isSame(current, interests)) {
      return Effect.succeed({ refusals: [], hadGap: false })
    }
    const known = interests.uris.filter((uri) => current?.uris.includes(uri) ?? false)
    const added = interests.uris.filter((uri) => !known.includes(uri))
    return Effect.catchIf(
      this.#replace(interests),
      ({ delivery }) => delivery === "Answered" && added.length > 0,
      // The server refuses one of the new URIs. Each is tried alone, so that the others stay subscribed.
      (reason) =>
        added.length === 1
          ? this.#alignWithout(interests, added, () => reason, known)
          : this.#alignOneByOne({ ...interests, uris: known }, added)
    )
  }

  get #hasEnded(): boolean {
    return this.#current !== undefined && Deferred.isDoneUnsafe(this.#current.stream.ended)
  }

  /** Replaces the stream. The new one is open before the old one is closed, so that no notification is missed in between. */
  #replace(interests: Interests): Effect.Effect<Alignment, Reason> {
    return Effect.gen({ self: this }, function*() {
      const filter = filterOf(this.#options.info.capabilities, interests)
      const stream = Object.keys(filter).length === 0 ? undefined : yield* openStream({ ...this.#options, filter })
      const hadGap = this.#hasEnded
      const old = this.#current
      this.#current = undefined
      if (old !== undefined) yield* Scope.close(old.stream.scope, Exit.void)
      if (stream === undefined) return { refusals: [], hadGap }
      const uris = interests.uris.filter((uri) => stream.listening.resources.includes(uri))
      this.#current = { interests: { lists: interests.lists, uris }, stream }
      const refused = interests.uris.filter((uri) => !uris.includes(uri))
      return { refusals: refused.map((uri) => ({ uri, reason: unsupported({ uri, method }) })), hadGap }
    })
  }

  #alignWithout(
    interests: Interests,
    refused: ReadonlyArray<string>,
    reasonOf: (uri: string) => Reason,
    uris: ReadonlyArray<string>
  ): Effect.Effect<Alignment, Reason> {
    return Effect.map(this.#align({ ...interests, uris }), ({ hadGap, refusals }) => ({
      hadGap,
      refusals: [...refusals, ...refused.map((uri) => ({ uri, reason: reasonOf(uri) }))]
    }))
  }

  #alignOneByOne(known: Interests, added: ReadonlyArray<string>): Effect.Effect<Alignment, Reason> {
    return Effect.gen({ self: this }, function*() {
      const uris = [...known.uris]
      const refused: Array<Refusal> = []
      let hadGap = false
      for (const uri of added) {
        const alignment = yield* this.#align({ ...known, uris: [...uris, uri] })
        refused.push(...alignment.refusals)
        hadGap ||= alignment.hadGap
        if (!alignment.refusals.some((refusal) => refusal.uri === uri)) uris.push(uri)
      }
      return { refusals: refused, hadGap }
    })
  }
}
