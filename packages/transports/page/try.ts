/**
 * Tries tools: a server, one of its tools, and a form of its arguments. They can be edited as JSON instead.
 */
import type { ErrorView, ResultView, ServerView, ToolView } from "../src/internal/dashboard/views.ts"
import { post } from "./api.ts"
import { button, element, find, newId } from "./dom.ts"
import { Invalid, isObject, objectOf } from "./fields.ts"
import { resultOf } from "./result.ts"

const server = element("select", { id: newId() })
const tool = element("select", { id: newId() })
const about = element("div")
const fields = element("div")
const json = element("textarea", { id: newId(), rows: 6, class: "json", spellcheck: "false" })
const jsonField = element(
  "div",
  { class: "field", hidden: true },
  element("label", { for: json.id }, "Arguments as JSON"),
  json
)
const problem = element("p", { role: "alert", class: "warning" })
const result = element("div", { role: "status" })
const call = element("button", { class: "primary" }, "Call")
const cancel = button("Cancel the call", () => running?.abort(), { hidden: true })
const asJson = button("Edit as JSON", () => toggle(), { "aria-pressed": "false" })
const form = element(
  "form",
  {},
  element(
    "div",
    { class: "pickers" },
    element("div", { class: "field" }, element("label", { for: server.id }, "Server"), server),
    element("div", { class: "field" }, element("label", { for: tool.id }, "Tool"), tool)
  ),
  about,
  fields,
  jsonField,
  problem,
  element("div", { class: "actions" }, call, cancel, asJson),
  result
)

let tools: ReadonlyArray<ToolView> = []
let read: () => string = () => "{}"
let running: AbortController | undefined

const isJson = (): boolean => jsonField.hidden === false

const show = (message: string): void => problem.replaceChildren(message)

const editAsJson = (isOn: boolean): void => {
  jsonField.hidden = !isOn
  fields.hidden = isOn
  asJson.setAttribute("aria-pressed", String(isOn))
}

/** Shows why the arguments cannot be read, at the field. */
const readSafely = (): string | undefined => {
  show("")
  try {
    return isJson() ? json.value : read()
  } catch (error) {
    if (!(error instanceof Invalid)) throw error
    show(error.message)
    error.input.focus()
    return undefined
  }
}

const toggle = (): void => {
  if (isJson()) return editAsJson(false)
  const text = readSafely()
  if (text === undefined) return
  json.value = text
  editAsJson(true)
  json.focus()
}

const choose = (): void => {
  const chosen = tools.find(({ name }) => name === tool.value)
  call.disabled = asJson.disabled = chosen === undefined
  show("")
  result.replaceChildren()
  const hints = [chosen?.isReadOnly === true ? "reads only" : "", chosen?.isDestructive === true ? "may destroy" : ""]
  about.replaceChildren(
    element(
      "p",
      { class: "dim" },
      [chosen?.title, ...hints].filter((text) => text !== undefined && text !== "").join(" · ")
    ),
    element("p", { class: "description" }, chosen?.description ?? "")
  )
  const { nodes, read: readFields } = objectOf({ schema: isObject(chosen?.schema) ? chosen.schema : {}, depth: 0 })
  read = readFields
  fields.replaceChildren(...nodes)
  json.value = "{}"
  editAsJson(chosen !== undefined && chosen.schema === undefined)
}

const list = async (): Promise<void> => {
  tools = []
  tool.replaceChildren()
  const name = server.value
  try {
    const answer = await post<{ readonly tools?: ReadonlyArray<ToolView>; readonly error?: ErrorView }>("tools", {
      server: name
    })
    if (server.value !== name) return
    tools = answer.tools ?? []
    tool.replaceChildren(...tools.map((one) => element("option", { value: one.name }, one.name)))
    choose()
    if (answer.error !== undefined) show(`the tools cannot be listed: ${answer.error.message}`)
  } catch (error) {
    choose()
    show(error instanceof Error ? error.message : String(error))
  }
}

const run = async (): Promise<void> => {
  const args = readSafely()
  if (args === undefined || running !== undefined) return
  running = new AbortController()
  call.disabled = true
  cancel.hidden = false
  result.replaceChildren("calling …")
  try {
    const asked = { server: server.value, tool: tool.value, arguments: args }
    result.replaceChildren(resultOf(await post<ResultView>("call", asked, running.signal)))
  } catch (error) {
    result.replaceChildren()
    show(
      running.signal.aborted
        ? "cancelled; the tool may have run"
        : error instanceof Error
        ? error.message
        : String(error)
    )
  } finally {
    if (document.activeElement === cancel) call.focus()
    running = undefined
    call.disabled = false
    cancel.hidden = true
  }
}

server.addEventListener("change", () => void list())
tool.addEventListener("change", choose)
form.addEventListener("submit", (event) => {
  event.preventDefault()
  void run()
})
form.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit()
})

/** Offers the servers, once they are known. */
export const offerServers = (servers: ReadonlyArray<ServerView>): void => {
  if (!form.isConnected) find("try").append(form)
  const names = servers.map(({ name }) => name)
  if (names.join("\n") === Array.from(server.options, ({ value }) => value).join("\n")) return
  server.replaceChildren(...names.map((name) => element("option", { value: name }, name)))
  void list()
}
