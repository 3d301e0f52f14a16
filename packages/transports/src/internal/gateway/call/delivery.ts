/**
 * Delivery of requests that ended without an outcome, because their clients or their sessions are gone.
 */
import type { ClientCall } from "../client/clientCall.ts"

/** Returns `NotSent` for a request that no session at a server was given, and `Unknown` for any other. */
export const deliveryOf = ({ mayBeSent }: Pick<ClientCall, "mayBeSent">): "NotSent" | "Unknown" =>
  mayBeSent ? "Unknown" : "NotSent"
