/**
 * Own lists: the lists of a client's own sessions, where its calls have changed them.
 */
import type { Tool } from "@mcp-sessions/core/Mcp"
import type { Session } from "@mcp-sessions/core/Session"
import type { SessionError } from "@mcp-sessions/core/SessionError"
import * as Effect from "effect/Effect"
import type { Catalog, ChangedList } from "./catalog.ts"
import type { Lists, Named, Offer } from "./offer.ts"

export class OwnLists {
  readonly #catalog: Catalog
  readonly #lists = new Map<string, Partial<Lists>>()
  #base: Offer | undefined
  #offer: Offer | undefined

  constructor(catalog: Catalog) {
    this.#catalog = catalog
  }

  /** What the servers offer to the client. */
  get offer(): Offer {
    const base = this.#catalog.offer
    if (this.#lists.size === 0) return base
    if (this.#offer === undefined || this.#base !== base) {
      this.#base = base
      this.#offer = this.#catalog.offerWith(this.#lists)
    }
    return this.#offer
  }

  /** Whether the server of a tool may run it as a task. */
  mayBeTask(tool: Named<Tool>): boolean {
    return this.#catalog.mayBeTask(tool)
  }

  /** Fetches a list that has changed for the session of the client. */
  fetch(session: Session, list: ChangedList): Effect.Effect<void, SessionError> {
    const keep = (lists: Partial<Lists>) => {
      this.#lists.set(session.server, { ...this.#lists.get(session.server), ...lists })
      this.#offer = undefined
    }
    switch (list) {
      case "tools":
        return Effect.map(session.listTools(), (tools) => keep({ tools }))
      case "prompts":
        return Effect.map(session.listPrompts(), (prompts) => keep({ prompts }))
      case "resources":
        return Effect.map(
          Effect.all({ resources: session.listResources(), resourceTemplates: session.listResourceTemplates() }),
          keep
        )
    }
  }
}
