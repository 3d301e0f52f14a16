/**
 * The limits of a gateway whose clients are all of one principal.
 */
import type { ReadOptions } from "./gatewayOptions.ts"

/** Gives one principal all that the gateway has, and does not limit its rate: it has to share with no other. */
export const withOnePrincipal = (read: ReadOptions): ReadOptions => {
  const { maxInFlight, maxInFlightBytes } = read.limits
  return {
    ...read,
    limits: {
      ...read.limits,
      maxInFlightPerPrincipal: maxInFlight,
      maxInFlightBytesPerPrincipal: maxInFlightBytes,
      requestsPerSecond: Number.MAX_SAFE_INTEGER
    }
  }
}
