/**
 * Delivery of requests that ended without an outcome, because their clients or their sessions are gone.
 */
import type { ClientCall } from "./clientCall.ts"

/** The methods whose requests are sent under ids that their calls learn. */
const withIds: ReadonlySet<string> = new Set(["tools/call", "resources/read", "prompts/get"])

/** Returns `NotSent` for a request that no server has received for certain, and `Unknown` for any other. */
export const deliveryOf = (
  { call, method }: { readonly call: ClientCall; readonly method: string }
): "NotSent" | "Unknown" =>
  call.server === undefined || (withIds.has(method) && call.upstreamIds.length === 0) ? "NotSent" : "Unknown"
