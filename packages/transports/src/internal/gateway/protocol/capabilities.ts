/**
 * Capabilities of a client, as the gateway declares them to servers on its behalf: those that concern requests of servers, with the details that
 * the protocol defines.
 *
 * @see https://modelcontextprotocol.io/specification/2025-11-25/basic/lifecycle#capability-negotiation
 */
import type { DeclaredCapabilities } from "@mcp-sessions/core/ClientHandlers"
import * as Predicate from "effect/Predicate"

/** The keys of an object that are among those named and hold an object, each with an empty one. */
const present = <K extends string>(
  value: object,
  keys: ReadonlyArray<K>
): { readonly [_ in K]?: Record<string, never> } => {
  const found: { [_ in K]?: Record<string, never> } = {}
  for (const key of keys) if (Predicate.isObject((value as Record<K, unknown>)[key])) found[key] = {}
  return found
}

/** Reads what a client declares, without what concerns no request of a server. */
export const capabilitiesFrom = (declared: object): DeclaredCapabilities => {
  const { elicitation, roots, sampling } = declared as Readonly<Record<string, unknown>>
  return {
    ...(Predicate.isObject(sampling) ? { sampling: present(sampling, ["tools", "context"]) } : {}),
    ...(Predicate.isObject(elicitation) ? { elicitation: present(elicitation, ["form", "url"]) } : {}),
    ...(Predicate.isObject(roots)
      ? { roots: (roots as { readonly listChanged?: unknown }).listChanged === true ? { listChanged: true } : {} }
      : {})
  }
}
