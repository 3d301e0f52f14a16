/**
 * Announcements: a node sends the names of ended sessions to the other nodes, so that no later owner makes them again.
 *
 * A node that has been met for the first time hears of all that are remembered here, and later of those that end here. What does not arrive is
 * sent again for as long as the node owns sessions.
 */
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { type Ended, endedLimit, type EndedSessions } from "./endedSessions.ts"
import type { Forwarding } from "./forward.ts"
import type { Holds } from "./holds.ts"
import type { Activation } from "./ownership.ts"

/** How often what did not arrive is sent again. */
const sendAgain = "1 second"

const Untold = Schema.fromJsonString(
  Schema.Array(Schema.Struct({ name: Schema.String, until: Schema.Finite })).check(Schema.isMaxLength(endedLimit))
)

const decode = Schema.decodeUnknownOption(Untold)

const encode = Schema.encodeSync(Untold)

/** Another node, and the sessions that it has not received yet. */
interface Peer {
  readonly url: string
  untold: ReadonlyArray<Ended>
}

export interface AnnouncementsOptions {
  /** The id of this node. */
  readonly node: string
  readonly ended: EndedSessions
  readonly forwarding: Forwarding
  readonly holds: Holds
  readonly fork: <A>(effect: Effect.Effect<A>) => Fiber.Fiber<A>
  /** Closes a session of this node, if it has one of the name. */
  readonly close: (name: string) => Effect.Effect<void>
}

export class Announcements {
  readonly #options: AnnouncementsOptions
  readonly #peers = new Map<string, Peer>()

  constructor(options: AnnouncementsOptions) {
    this.#options = options
  }

  /** Tells a node that is not known yet of all ended sessions. */
  meet({ node, url }: Activation): void {
    const { ended, fork } = this.#options
    if (node === this.#options.node || this.#peers.has(node)) return
    const peer = { url, untold: ended.all }
    this.#peers.set(node, peer)
    fork(this.#tell(peer))
  }

  /** Ends a session, and announces it to the other nodes. */
  end(name: string): void {
    const ended = this.#options.ended.end(name)
    for (const peer of this.#peers.values()) {
      peer.untold = [...peer.untold, ended].slice(-endedLimit)
      this.#options.fork(this.#tell(peer))
    }
  }

  /** Records the ended sessions that another node announces. */
  take(text: string): void {
    const { close, ended, fork } = this.#options
    for (const one of Option.getOrElse(decode(text), () => [])) {
      ended.add(one)
      // It was made anew before this arrived.
      fork(close(one.name))
    }
  }

  #tell(peer: Peer): Effect.Effect<void> {
    return Effect.suspend(() => {
      const { untold } = peer
      if (untold.length === 0) return Effect.void
      peer.untold = []
      return Effect.map(this.#options.forwarding.tell(peer.url, encode(untold)), (hasArrived) => {
        if (!hasArrived) peer.untold = [...untold, ...peer.untold].slice(-endedLimit)
      })
    })
  }

  /** Sends again what did not arrive, and forgets nodes that own nothing any more, for as long as it runs. */
  get follow(): Effect.Effect<never> {
    return Effect.suspend(() => {
      const nodes = this.#options.holds.nodes
      for (const node of this.#peers.keys()) if (!nodes.has(node)) this.#peers.delete(node)
      return Effect.forEach(this.#peers.values(), (peer) => this.#tell(peer), {
        concurrency: "unbounded",
        discard: true
      })
    }).pipe(Effect.andThen(Effect.sleep(sendAgain)), Effect.forever)
  }
}
