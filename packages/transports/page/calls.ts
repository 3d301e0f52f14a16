/**
 * Calls: the latest ones, the last one first.
 */
import type { CallView, Cut } from "../src/internal/dashboard/views.ts"
import { element, find, setText, table } from "./dom.ts"

const limit = 200

const { body, row, table: shown } = table("Calls", [
  "Time",
  "Owner",
  "Server",
  "Call",
  "Outcome",
  "Delivery",
  "Duration"
])
const more = element("p", { class: "dim" }, "no calls yet")

/** What the delivery means for somebody who would repeat the call. */
const meanings: Readonly<Record<string, string>> = {
  NotSent: "not sent",
  Rejected: "rejected before it ran",
  Unknown: "may have run",
  Answered: "answered"
}

export const meaningOf = (delivery: string): string => meanings[delivery] ?? delivery

const rowOf = (call: CallView): HTMLTableRowElement => {
  const time = new Date(Date.now() - call.age)
  const outcome = element(
    "span",
    {
      class: "badge",
      "data-verdict": call.outcome === "Succeeded" ? "healthy" : call.delivery === "Unknown" ? "unsure" : "unhealthy"
    },
    call.reason === undefined ? call.outcome : call.reason
  )
  return row([
    element("time", { datetime: time.toISOString() }, time.toLocaleTimeString()),
    call.client === "" ? call.principal : `${call.principal} ${call.client}`,
    call.server ?? "—",
    call.method === "tools/call" ? call.name : `${call.method} ${call.name}`,
    outcome,
    meaningOf(call.delivery),
    `${call.duration} ms`
  ])
}

export const addCalls = ({ hidden, items }: Cut<CallView>): void => {
  if (!shown.isConnected) find("calls").append(shown, more)
  body.prepend(...items.toReversed().map(rowOf))
  while (body.rows.length > limit) body.rows[body.rows.length - 1]?.remove()
  if (hidden > 0) setText(more, `${hidden} calls were too fast to show`)
  else if (items.length > 0) setText(more, "")
}

export const clearCalls = (): void => body.replaceChildren()
