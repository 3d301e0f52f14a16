/**
 * Tickets: session ids that hold what any node needs to make the session: its name, the revision, and what the client can do.
 *
 * A ticket is encrypted, bound to its principal and path, and valid for seven days.
 */
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { NamedSession } from "../gateway/client/sessionLocation.ts"
import { capabilitiesFrom } from "../gateway/protocol/capabilities.ts"
import type { SealedIds } from "../gateway/protocol/sealedIds.ts"

/** How long a ticket is good, in seconds. */
export const lifetime = 7 * 24 * 60 * 60

/** A session with its ticket. */
export interface TicketedSession extends NamedSession {
  readonly ticket: string
}

const Content = Schema.fromJsonString(Schema.Struct({
  name: Schema.String,
  revision: Schema.String,
  capabilities: Schema.Record(Schema.String, Schema.Unknown),
  until: Schema.Finite
}))

const decode = Schema.decodeUnknownOption(Content)

export class Tickets {
  readonly #ids: SealedIds
  readonly #route: string
  readonly #now: () => number

  /** `now` gives the time of the system in milliseconds. */
  constructor({ ids, now, route }: {
    readonly ids: SealedIds
    readonly route: string
    readonly now: () => number
  }) {
    this.#ids = ids
    this.#route = route
    this.#now = now
  }

  /** Seals a session. */
  seal({ capabilities, name, principal, protocolVersion }: NamedSession): string {
    const until = Math.floor(this.#now() / 1000) + lifetime
    const content = { name, revision: protocolVersion, capabilities, until }
    return this.#ids.seal(JSON.stringify(content), { principal, route: this.#route })
  }

  /** Returns the session of a ticket; `undefined` for a ticket of another principal, an old one, and any other text. */
  open(ticket: string, principal: string): TicketedSession | undefined {
    const content = Option.getOrUndefined(decode(this.#ids.open(ticket, { principal, route: this.#route })))
    if (content === undefined || content.until * 1000 < this.#now()) return undefined
    const { capabilities, name, revision } = content
    return { ticket, name, principal, protocolVersion: revision, capabilities: capabilitiesFrom(capabilities) }
  }
}
