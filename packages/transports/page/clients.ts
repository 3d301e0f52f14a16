/**
 * Sessions: a row for each client, with the servers at which it has one.
 */
import type { ClientView, Cut } from "../src/internal/dashboard/views.ts"
import { element, find, setText, table } from "./dom.ts"

const { body, row, table: shown } = table("Sessions by owner", ["Owner", "Client", "In flight", "Sessions"])
const more = element("p", { class: "dim" })

const rowOf = ({ inFlight, label, principal, sessions }: ClientView): HTMLTableRowElement =>
  row([
    principal === "" ? "—" : principal,
    label,
    String(inFlight),
    sessions.length === 0 ? "none" : sessions.map(({ server, state }) => `${server} (${state})`).join(", ")
  ])

/** Nothing in the rows can have the focus, so they are simply made anew. */
export const showClients = ({ hidden, items }: Cut<ClientView>): void => {
  if (!shown.isConnected) find("clients").append(shown, more)
  body.replaceChildren(...items.map(rowOf))
  setText(more, items.length === 0 ? "nobody is connected" : hidden === 0 ? "" : `and ${hidden} more`)
}
