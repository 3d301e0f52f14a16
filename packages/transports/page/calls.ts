/**
 * Calls: the latest ones, the last one first.
 */
import type { CallView, Cut } from "../src/internal/dashboard/views.ts"
import { element, find, setText, table } from "./dom.ts"

const limit = 200

const { body, row, table: shown } = table("Calls", [
  "Time",
  "Owner",
  "Call",
  "Outcome",
  "Delivery",
  "Duration"
])
const more = element("p", { class: "dim" }, "no calls yet")

/** The deliveries in the words of a person who may want to repeat the call. */
const meanings: Readonly<Record<string, string>> = {
  NotSent: "not sent",
  Rejected: "rejected before it ran",
  Unknown: "may have run",
  Answered: "answered"
}

export const meaningOf = (delivery: string): string => meanings[delivery] ?? delivery

/** The name of a call, with its server unless the name begins with that. */
const nameOf = ({ method, name, server }: CallView): string => {
  const called = method === "tools/call" ? name : `${method} ${name}`
  return server === undefined || name.startsWith(`${server}_`) ? called : `${called} at ${server}`
}

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
    element("time", { datetime: time.toISOString() }, time.toLocaleTimeString(undefined, { hourCycle: "h23" })),
    call.client === "" ? call.principal : `${call.principal} ${call.client}`,
    nameOf(call),
    outcome,
    element("span", { class: "short" }, meaningOf(call.delivery)),
    element("span", { class: "short" }, `${call.duration} ms`)
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
