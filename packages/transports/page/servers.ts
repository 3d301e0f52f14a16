/**
 * Servers: a row each, which stays while its texts change, so that nobody loses their place.
 */
import type { ErrorView, ServerView } from "../src/internal/dashboard/views.ts"
import { post } from "./api.ts"
import { confirm } from "./confirm.ts"
import { announce, button, element, find, setText, table } from "./dom.ts"
import { draw, latest } from "./sparkline.ts"

const { body, row, table: shown } = table("Servers", [
  "Server",
  "State",
  "Latency",
  "Restarts",
  "Circuit",
  "Pool",
  "Latest error",
  "Actions"
])

/** How a server is, in one word. */
const verdict = ({ circuit, health }: ServerView): string => circuit === "ejected" ? circuit : health

const marks: Readonly<Record<string, string>> = { healthy: "✓", unhealthy: "✗", ejected: "⏏", unknown: "…" }

class Row {
  readonly row: HTMLTableRowElement
  readonly #badge = element("span", { class: "badge" })
  readonly #state = element("span", { class: "dim" })
  readonly #line = element("span")
  readonly #latency = element("span")
  readonly #restarts = element("span")
  readonly #circuit = element("span", { class: "short" })
  readonly #pool = element("span")
  readonly #error = element("span")
  readonly #stderr = element("pre")
  readonly #details = element("details", { hidden: true }, element("summary", {}, "stderr"), this.#stderr)
  readonly #restart: HTMLButtonElement
  readonly #eject: HTMLButtonElement
  readonly #signIn: HTMLButtonElement
  readonly #signInPage = element(
    "a",
    { target: "_blank", rel: "noopener noreferrer", hidden: true },
    "Open the sign-in page"
  )
  readonly #problem = element("span", { role: "alert" })
  #latencies = ""
  #view: ServerView

  constructor(view: ServerView, isOperator: boolean) {
    this.#view = view
    const { name } = view
    this.#restart = button("Restart", () => void this.#act("restart"), { "aria-label": `Restart ${name}` })
    this.#eject = button("Eject", () => void this.#toggle(), { "aria-label": `Eject ${name}` })
    this.#signIn = button("Sign in", () => void this.#act("sign-in"), {
      "aria-label": `Sign in to ${name}`,
      hidden: true
    })
    const actions = element(
      "div",
      { class: "actions", hidden: !isOperator },
      this.#restart,
      this.#eject,
      this.#signIn,
      this.#signInPage,
      this.#problem
    )
    this.row = row([
      name,
      element("div", {}, this.#badge, " ", this.#state),
      element("div", { class: "latency" }, this.#line, " ", this.#latency),
      this.#restarts,
      this.#circuit,
      this.#pool,
      element("div", { class: "error" }, this.#error, this.#details),
      actions
    ])
    this.update(view)
  }

  update(view: ServerView): void {
    const before = verdict(this.#view)
    this.#view = view
    const now = verdict(view)
    this.#badge.dataset["verdict"] = now
    setText(this.#badge, `${marks[now] ?? ""} ${now}`)
    setText(this.#state, view.state)
    setText(this.#restarts, String(view.restarts))
    setText(this.#circuit, view.circuit)
    setText(this.#pool, `${view.connections} open, ${view.inFlight} in flight`)
    this.#showLatencies(view.latencies)
    this.#showError(view.lastError)
    const isEjected = view.circuit === "ejected"
    setText(this.#eject, isEjected ? "Readmit" : "Eject")
    this.#eject.setAttribute("aria-label", `${isEjected ? "Readmit" : "Eject"} ${view.name}`)
    this.#signIn.hidden = view.signIn === undefined || view.signIn.isPending
    this.#signInPage.hidden = view.signIn?.url === undefined
    if (view.signIn?.url !== undefined) this.#signInPage.href = view.signIn.url
    if (now !== before && now !== "unknown") announce(`${view.name} is ${now}`)
  }

  #showLatencies(latencies: ServerView["latencies"]): void {
    const text = JSON.stringify(latencies)
    if (text === this.#latencies) return
    this.#latencies = text
    this.#line.replaceChildren(draw(latencies))
    setText(this.#latency, latest(latencies))
  }

  #showError(error: ErrorView | undefined): void {
    setText(this.#error, error === undefined ? "none" : `${error.reason}: ${error.message}`)
    this.#details.hidden = error?.stderr === undefined
    setText(this.#stderr, error?.stderr ?? "")
  }

  async #toggle(): Promise<void> {
    const { circuit, name } = this.#view
    if (circuit === "ejected") return this.#act("readmit")
    const question =
      `Eject ${name}? Its connections are closed once their calls have ended, and all new calls fail until it is readmitted.`
    if (await confirm(question, "Eject")) await this.#act("eject")
  }

  async #act(action: string): Promise<void> {
    setText(this.#problem, "")
    try {
      const { error } = await post<{ readonly error?: ErrorView }>(action, { server: this.#view.name })
      if (error !== undefined) setText(this.#problem, error.message)
    } catch (error) {
      setText(this.#problem, String(error instanceof Error ? error.message : error))
    }
  }
}

const rows = new Map<string, Row>()

export const showServers = (servers: ReadonlyArray<ServerView>, isOperator: boolean): void => {
  if (!shown.isConnected) find("servers").append(shown)
  for (const view of servers) {
    const known = rows.get(view.name)
    if (known !== undefined) known.update(view)
    else {
      const made = new Row(view, isOperator)
      rows.set(view.name, made)
      body.append(made.row)
    }
  }
}

/** Forgets everything, for another principal. */
export const clearServers = (): void => {
  rows.clear()
  body.replaceChildren()
}
