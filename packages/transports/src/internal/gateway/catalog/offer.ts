/**
 * Offer: the tools, resources, templates and prompts of all servers as one list each, and which server each belongs to. Pure.
 *
 * Names have the prefix of their server. A name, and a URI, belong to the first server that lists them.
 */
import type { Prompt, Resource, ResourceTemplate, Tool } from "@mcp-sessions/core/Mcp"
import type { ItemKind, NameOwners, Place } from "./nameOwners.ts"
import { isFrom, literalsOf } from "./uriTemplates.ts"

/** The lists of a server. */
export interface Lists {
  readonly tools: ReadonlyArray<Tool>
  readonly resources: ReadonlyArray<Resource>
  readonly resourceTemplates: ReadonlyArray<ResourceTemplate>
  readonly prompts: ReadonlyArray<Prompt>
}

export type ListKind = keyof Lists

export const noLists: Lists = { tools: [], resources: [], resourceTemplates: [], prompts: [] }

/** A server and its lists. */
export interface Listed {
  readonly server: string
  readonly lists: Lists
}

/** Two items that would have one name, or one URI. The first one has it. */
export interface Collision {
  readonly kind: ItemKind
  readonly name: string
  readonly first: Place
  readonly second: Place
}

/** How items are offered. */
export interface Rules {
  /** Whether a tool is offered. */
  readonly isOffered: (place: { readonly server: string; readonly tool: string }) => boolean
  /** Whether the resources and templates of a server are offered. */
  readonly hasResources: (server: string) => boolean
  /** Whether names begin with the name of their server. */
  readonly hasPrefix: boolean
}

/** An item under the name that clients know. */
export interface Named<A> extends Place {
  readonly item: A
}

interface Template extends Named<ResourceTemplate> {
  readonly literals: ReadonlyArray<string>
}

export class Offer {
  readonly #tools: ReadonlyMap<string, Named<Tool>>
  readonly #prompts: ReadonlyMap<string, Named<Prompt>>
  readonly #resources: ReadonlyMap<string, Named<Resource>>
  readonly #templates = new Map<string, Template>()
  readonly #only: string | undefined
  readonly collisions: ReadonlyArray<Collision>

  constructor({ nameOwners, listed, rules: { hasPrefix, hasResources, isOffered } }: {
    readonly listed: ReadonlyArray<Listed>
    readonly rules: Rules
    /** The names that servers have had before. Those that are new are added. */
    readonly nameOwners: NameOwners
  }) {
    const collisions: Array<Collision> = []
    const owned = <A>(
      kind: ItemKind,
      itemsOf: (listed: Listed) => ReadonlyArray<readonly [name: string, own: string, item: A]>
    ): ReadonlyMap<string, Named<A>> => {
      const byName = new Map<string, Named<A>>()
      for (const one of listed) {
        const { server } = one
        for (const [name, own, item] of itemsOf(one)) {
          const second = { server, name: own }
          const first = nameOwners.take(kind, name, second)
          if (first.server !== server) collisions.push({ kind, name, first, second })
          else if (!byName.has(name)) byName.set(name, { ...second, item })
        }
      }
      nameOwners.release(kind, (name) => byName.has(name))
      return byName
    }
    const named = <A extends { readonly name: string }>(server: string, items: ReadonlyArray<A>) =>
      items.map((item) => {
        const name = hasPrefix ? `${server}_${item.name}` : item.name
        return [name, item.name, { ...item, name }] as const
      })
    const resourcesOf = ({ lists, server }: Listed): Lists => hasResources(server) ? lists : noLists
    this.#tools = owned(
      "tool",
      ({ lists: { tools }, server }) => named(server, tools.filter(({ name }) => isOffered({ server, tool: name })))
    )
    this.#prompts = owned("prompt", ({ lists: { prompts }, server }) => named(server, prompts))
    this.#resources = owned(
      "resource",
      (one) => resourcesOf(one).resources.map((item) => [item.uri, item.uri, item] as const)
    )
    const templates = owned(
      "resource template",
      (one) => resourcesOf(one).resourceTemplates.map((item) => [item.uriTemplate, item.uriTemplate, item] as const)
    )
    // A URI that several fit belongs to the template that was listed first.
    for (const uriTemplate of nameOwners.names("resource template")) {
      const template = templates.get(uriTemplate)
      if (template !== undefined) this.#templates.set(uriTemplate, { ...template, literals: literalsOf(uriTemplate) })
    }
    const [only, ...others] = listed
    this.#only = others.length === 0 && only !== undefined && hasResources(only.server) ? only.server : undefined
    this.collisions = collisions
  }

  get tools(): ReadonlyArray<Tool> {
    return Array.from(this.#tools.values(), ({ item }) => item)
  }

  get prompts(): ReadonlyArray<Prompt> {
    return Array.from(this.#prompts.values(), ({ item }) => item)
  }

  get resources(): ReadonlyArray<Resource> {
    return Array.from(this.#resources.values(), ({ item }) => item)
  }

  get resourceTemplates(): ReadonlyArray<ResourceTemplate> {
    return Array.from(this.#templates.values(), ({ item }) => item)
  }

  tool(name: string): Named<Tool> | undefined {
    return this.#tools.get(name)
  }

  prompt(name: string): Named<Prompt> | undefined {
    return this.#prompts.get(name)
  }

  /** The server of a resource: one that lists it, one with a template for it, or the only one there is. */
  serverOf(uri: string): string | undefined {
    const listed = this.#resources.get(uri)
    if (listed !== undefined) return listed.server
    for (const { literals, server } of this.#templates.values()) if (isFrom({ literals, uri })) return server
    return this.#only
  }

  /** The server that lists a template. */
  serverOfTemplate(uriTemplate: string): string | undefined {
    return this.#templates.get(uriTemplate)?.server
  }
}
