/**
 * Name owners: which server a name or a URI belongs to. The first server that lists it keeps it for as long as the gateway runs, also while it does not
 * list it: no server can take over what clients use at another.
 */

/** The kinds of items, each with names of its own. */
export type ItemKind = "tool" | "prompt" | "resource" | "resource template"

/** An item of a server, under the name that it has there. */
export interface Place {
  readonly server: string
  readonly name: string
}

/** How many names of one kind may be claimed before those that no server lists are released. */
const claimLimit = 100_000

type Owners = Readonly<Record<ItemKind, Map<string, Place>>>

const noOwners = (): Owners => ({
  tool: new Map(),
  prompt: new Map(),
  resource: new Map(),
  "resource template": new Map()
})

export class NameOwners {
  readonly #owners: Owners = noOwners()
  readonly #below: NameOwners | undefined

  constructor(below?: NameOwners) {
    this.#below = below
  }

  /** Makes the owners of names for one client, on top of these. */
  fork(): NameOwners {
    return new NameOwners(this)
  }

  /** NameOwners a name for an item, and returns the item that has it. */
  take(kind: ItemKind, name: string, place: Place): Place {
    const owner = this.#below?.owner(kind, name) ?? this.owner(kind, name)
    if (owner !== undefined) return owner
    this.#owners[kind].set(name, place)
    return place
  }

  /** The item that has a name. */
  owner(kind: ItemKind, name: string): Place | undefined {
    return this.#owners[kind].get(name)
  }

  /** The claimed names of a kind, the oldest first. */
  *names(kind: ItemKind): Iterable<string> {
    if (this.#below !== undefined) yield* this.#below.names(kind)
    yield* this.#owners[kind].keys()
  }

  /** Releases names that are not listed, where there are too many. */
  release(kind: ItemKind, isListed: (name: string) => boolean): void {
    const owners = this.#owners[kind]
    if (owners.size <= claimLimit) return
    for (const name of owners.keys()) if (!isListed(name)) owners.delete(name)
  }
}
