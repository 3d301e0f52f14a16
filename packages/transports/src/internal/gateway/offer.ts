/**
 * Offer: the tools, resources, templates and prompts of all servers as one list each, and which server each belongs to. Pure.
 *
 * Names have the prefix of their server. A name, and a URI, belong to the first server of the configuration that lists them.
 */
import type { Prompt, Resource, ResourceTemplate, Tool } from "@mcp-sessions/core/Mcp"
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

/** An item of a server, under the name that it has there. */
interface Place {
  readonly server: string
  readonly name: string
}

/** Two items that would have one name. The first one has it. */
export interface Collision {
  readonly kind: "tool" | "prompt"
  readonly name: string
  readonly first: Place
  readonly second: Place
}

/** How items are offered. */
export interface Rules {
  /** Whether a tool is offered. */
  readonly isOffered: (place: { readonly server: string; readonly tool: string }) => boolean
  /** Whether names begin with the name of their server. */
  readonly hasPrefix: boolean
}

/** An item under the name that clients know. */
interface Named<A> extends Place {
  readonly item: A
}

interface Template {
  readonly server: string
  readonly item: ResourceTemplate
  readonly literals: ReadonlyArray<string>
}

export class Offer {
  readonly #tools: ReadonlyMap<string, Named<Tool>>
  readonly #prompts: ReadonlyMap<string, Named<Prompt>>
  readonly #resources = new Map<string, { readonly server: string; readonly item: Resource }>()
  readonly #templates = new Map<string, Template>()
  readonly #only: string | undefined
  readonly collisions: ReadonlyArray<Collision>

  constructor(listed: ReadonlyArray<Listed>, { hasPrefix, isOffered }: Rules) {
    const collisions: Array<Collision> = []
    const named = <A extends { readonly name: string }>(
      kind: Collision["kind"],
      itemsOf: (listed: Listed) => ReadonlyArray<A>
    ): ReadonlyMap<string, Named<A>> => {
      const byName = new Map<string, Named<A>>()
      for (const one of listed) {
        const { server } = one
        for (const item of itemsOf(one)) {
          const name = hasPrefix ? `${server}_${item.name}` : item.name
          const second = { server, name: item.name }
          const first = byName.get(name)
          if (first === undefined) byName.set(name, { ...second, item: { ...item, name } })
          else if (first.server !== server) {
            collisions.push({ kind, name, first: { server: first.server, name: first.name }, second })
          }
        }
      }
      return byName
    }
    this.#tools = named(
      "tool",
      ({ lists: { tools }, server }) => tools.filter(({ name }) => isOffered({ server, tool: name }))
    )
    this.#prompts = named("prompt", ({ lists: { prompts } }) => prompts)
    for (const { lists, server } of listed) {
      for (const item of lists.resources) {
        if (!this.#resources.has(item.uri)) this.#resources.set(item.uri, { server, item })
      }
      for (const item of lists.resourceTemplates) {
        const { uriTemplate } = item
        if (!this.#templates.has(uriTemplate)) {
          this.#templates.set(uriTemplate, { server, item, literals: literalsOf(uriTemplate) })
        }
      }
    }
    this.#only = listed.length === 1 ? listed[0]?.server : undefined
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
