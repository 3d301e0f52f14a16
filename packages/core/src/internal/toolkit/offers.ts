/**
 * Offers: the tools that a catalog offers, and which definition of each was accepted. Pure: a listing of a server goes in, changes come out.
 *
 * A name belongs to the tool that had it first. Its fingerprint is kept when the tool is no longer listed, so that a tool that comes back
 * with another definition is held.
 */
import type { Tool } from "../../Mcp.ts"
import type { ToolPlace } from "./toolNames.ts"

/**
 * A tool as it is offered to a model.
 *
 * @category models
 * @since 0.1.0
 */
export interface CatalogTool extends ToolPlace {
  /** The name for the model. */
  readonly name: string
  /** The accepted definition: what the model sees. */
  readonly definition: Tool
  /** The fingerprint of the definition, SHA-256 in hexadecimal digits. */
  readonly pin: string
}

/**
 * A change of the tools that are offered.
 *
 * - `Added`: the tool is offered.
 * - `Removed`: its server no longer lists the tool; calls fail with `ToolUnknown`.
 * - `Held`: the definition of the tool is not the accepted one, or a new tool is not among the given pins. Calls fail with
 *   `DefinitionNotAccepted` until the catalog accepts `tool`. `accepted` is the fingerprint of the accepted definition.
 * - `Released`: a held tool is called again, because its definition was accepted or the server has taken the change back.
 * - `Collided`: the tool would have the name of another, and is not offered.
 *
 * @category models
 * @since 0.1.0
 */
export type ToolChange =
  | { readonly _tag: "Added"; readonly tool: CatalogTool }
  | { readonly _tag: "Removed"; readonly tool: CatalogTool }
  | { readonly _tag: "Held"; readonly tool: CatalogTool; readonly accepted: string | undefined }
  | { readonly _tag: "Released"; readonly tool: CatalogTool }
  | { readonly _tag: "Collided"; readonly name: string; readonly first: ToolPlace; readonly second: ToolPlace }

/** How many names a catalog remembers that their servers no longer list. Beyond it, the earliest are forgotten. */
const rememberedNames = 10_000

interface Entry {
  readonly place: ToolPlace
  readonly acceptedPin: string | undefined
  /** Absent if only the fingerprint of the accepted definition is known. */
  readonly accepted: CatalogTool | undefined
  /** The tool as its server lists it. */
  readonly current: CatalogTool | undefined
}

const isHeld = ({ acceptedPin, current }: Entry): boolean => current !== undefined && current.pin !== acceptedPin

export class Offers {
  readonly #entries = new Map<string, Entry>()
  /** The fingerprints that were accepted before; `undefined` if each definition is accepted when it is first seen. */
  readonly #pins: ReadonlyMap<string, string> | undefined
  #version = 0

  constructor(pins: Readonly<Record<string, string>> | undefined) {
    this.#pins = pins === undefined ? undefined : new Map(Object.entries(pins))
  }

  /** Changes whenever the offered tools change. */
  get version(): number {
    return this.#version
  }

  /** The tools that a model sees, in the order in which they were first listed. A held tool is seen as it was accepted. */
  get offered(): ReadonlyArray<CatalogTool> {
    return [...this.#entries.values()].flatMap(({ accepted, current }) =>
      accepted === undefined || current === undefined ? [] : [accepted]
    )
  }

  /** The held tools, as their servers list them. */
  get held(): ReadonlyArray<CatalogTool> {
    return [...this.#entries.values()].flatMap((entry) =>
      entry.current !== undefined && isHeld(entry) ? [entry.current] : []
    )
  }

  /** The fingerprints of the accepted definitions, by name. */
  get pins(): Readonly<Record<string, string>> {
    return Object.fromEntries(
      [...this.#entries].flatMap(([name, { acceptedPin }]) => acceptedPin === undefined ? [] : [[name, acceptedPin]])
    )
  }

  /** The tool of a name, if it is listed, and whether it is held. */
  find(
    name: string
  ): { readonly tool: CatalogTool; readonly isHeld: boolean; readonly accepted: string | undefined } | undefined {
    const entry = this.#entries.get(name)
    return entry?.current === undefined
      ? undefined
      : { tool: entry.current, isHeld: isHeld(entry), accepted: entry.acceptedPin }
  }

  /** Takes the whole list of a server. */
  list(server: string, tools: ReadonlyArray<CatalogTool>): ReadonlyArray<ToolChange> {
    const listed = new Set(tools.map(({ name }) => name))
    const removed = [...this.#entries].flatMap(([name, entry]): ReadonlyArray<ToolChange> => {
      if (entry.place.server !== server || entry.current === undefined || listed.has(name)) return []
      this.#entries.set(name, { ...entry, current: undefined })
      return entry.accepted === undefined ? [] : [{ _tag: "Removed", tool: entry.accepted }]
    })
    const changes = [...removed, ...tools.flatMap((tool) => this.#take(tool))]
    if (changes.length > 0) this.#version++
    this.#forget()
    return changes
  }

  /** Accepts the definition that the server of a tool lists. */
  accept(name: string): ReadonlyArray<ToolChange> {
    const entry = this.#entries.get(name)
    if (entry?.current === undefined || !isHeld(entry)) return []
    this.#entries.set(name, { ...entry, accepted: entry.current, acceptedPin: entry.current.pin })
    this.#version++
    return [{ _tag: "Released", tool: entry.current }]
  }

  #take(tool: CatalogTool): ReadonlyArray<ToolChange> {
    const { name, pin, server, tool: own } = tool
    const place = { server, tool: own }
    const before = this.#entries.get(name)
    if (before !== undefined && (before.place.server !== server || before.place.tool !== own)) {
      return [{ _tag: "Collided", name, first: before.place, second: place }]
    }
    const acceptedPin = before?.acceptedPin ?? (this.#pins === undefined ? pin : this.#pins.get(name))
    const isAccepted = acceptedPin === pin
    const entry: Entry = { place, acceptedPin, accepted: isAccepted ? tool : before?.accepted, current: tool }
    this.#entries.set(name, entry)
    if (isAccepted) {
      if (before?.current === undefined) return [{ _tag: "Added", tool }]
      return isHeld(before) ? [{ _tag: "Released", tool }] : []
    }
    return before?.current?.pin === pin ? [] : [{ _tag: "Held", tool, accepted: acceptedPin }]
  }

  /** Servers that never list a name twice must not fill the memory. */
  #forget(): void {
    const gone = [...this.#entries].flatMap(([name, { current }]) => current === undefined ? [name] : [])
    for (const name of gone.slice(0, Math.max(0, gone.length - rememberedNames))) this.#entries.delete(name)
  }
}
