/**
 * The delivery rule: what may happen after an attempt has failed. Pure, and held by a table test over every reason and kind.
 *
 * A request that provably did not run may be sent again. A request that may have run is sent again only if running it twice is harmless.
 * A request that was answered is never sent again.
 */
import { type Delivery, type LostReason, type Reason, TransportFailed } from "../../SessionError.ts"
import type { Kind } from "./operation.ts"

/**
 * - `resend`: may be sent again, as the retry policy says.
 * - `resend-if-idempotent`: the same for an idempotent tool; any other fails with `OutcomeUnknown`.
 * - `final`: the failure is the outcome.
 */
export type Verdict = "resend" | "resend-if-idempotent" | "final"

export const verdictOf = (kind: Kind, reason: Reason): Verdict => {
  // The caller has given up, or has been told.
  if (reason._tag === "Cancelled" || reason._tag === "OutcomeUnknown") return "final"
  switch (reason.delivery) {
    case "NotSent":
    case "Rejected":
      return "resend"
    case "Unknown":
      return kind._tag === "ToolCall" ? "resend-if-idempotent" : "resend"
    case "Answered":
      return "final"
  }
}

/** Whether a reason leaves open whether the request ran. */
export const isLost = (reason: Reason): reason is LostReason =>
  reason.delivery === "Unknown" && reason._tag !== "OutcomeUnknown" && reason._tag !== "Cancelled"

/** Whether a failure says only that this connection is gone: the request did not run, and a new connection is worth an attempt at once. */
export const isReplaceable = ({ delivery, losesConnection }: Reason): boolean =>
  losesConnection && (delivery === "NotSent" || delivery === "Rejected")

/**
 * The reason with which a request ends, given whether it was written. No reason that ends a written request may claim that it was not sent,
 * whichever transport or wrapper it comes from.
 */
export const endOf = (reason: Reason, isWritten: boolean): Reason =>
  isWritten && reason.delivery === "NotSent"
    ? new TransportFailed({ description: reason.message, delivery: "Unknown", cause: reason })
    : reason

/** The delivery of a request that gets no response. */
export const deliveryOf = (isWritten: boolean): Delivery => isWritten ? "Unknown" : "NotSent"
