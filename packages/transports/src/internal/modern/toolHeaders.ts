/**
 * Remembers which arguments of which tool are mirrored in headers, as the server lists its tools.
 *
 * A tool that was not listed on this connection is called without such headers. A server that insists on them refuses the call, and
 * the tools are listed before it is sent again.
 */
import * as Predicate from "effect/Predicate"
import * as Result from "effect/Result"
import { type ParamHeader, paramHeadersOf } from "./paramHeaders.ts"

export class ToolHeaders {
  #headers: Map<string, ReadonlyArray<ParamHeader>> | undefined
  #excluded: Map<string, string> | undefined

  /** The headers of a tool; `undefined` if it has none or is not known. */
  of(tool: unknown): ReadonlyArray<ParamHeader> | undefined {
    return this.#headers === undefined || typeof tool !== "string" ? undefined : this.#headers.get(tool)
  }

  /** Learns from a page of tools, and returns the page without the tools that a client has to leave out. */
  learn(options: { readonly page: unknown; readonly isFirst: boolean }): unknown {
    const { isFirst, page } = options
    if (isFirst) this.#headers = this.#excluded = undefined
    if (!Predicate.isObject(page) || !("tools" in page) || !Array.isArray(page.tools)) return page
    const tools = page.tools.filter((tool: unknown) => this.#take(tool))
    return tools.length === page.tools.length ? page : { ...page, tools }
  }

  warnings(): ReadonlyArray<string> {
    const [first] = this.#excluded ?? []
    return first === undefined
      ? []
      : [
        `${this.#excluded?.size} tools were left out for headers that they may not declare, first ${
          JSON.stringify(first[0])
        }: ${first[1]}`
      ]
  }

  #take(tool: unknown): boolean {
    if (!Predicate.isObject(tool) || !("name" in tool) || typeof tool.name !== "string") return true
    const headers = paramHeadersOf("inputSchema" in tool ? tool.inputSchema : undefined)
    if (Result.isFailure(headers)) {
      this.#excluded ??= new Map()
      this.#excluded.set(tool.name, headers.failure)
      return false
    }
    if (headers.success.length > 0) {
      this.#headers ??= new Map()
      this.#headers.set(tool.name, headers.success)
    }
    return true
  }
}
