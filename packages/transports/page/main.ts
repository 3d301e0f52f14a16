/**
 * The page: signs in, then shows what the event stream sends.
 */
import type { Message, Snapshot } from "../src/internal/dashboard/views.ts"
import { enter, events, leave, SignedOut, storedToken } from "./api.ts"
import { addCalls, clearCalls } from "./calls.ts"
import { showClients } from "./clients.ts"
import { find, setText } from "./dom.ts"
import { clearServers, showServers } from "./servers.ts"
import { offerServers } from "./try.ts"

let source: EventSource | undefined
let isOperator = false

const showConnection = (text: string): void => setText(find("connection"), text)

const askToEnter = (problem: string): void => {
  source?.close()
  source = undefined
  const isByLink = document.documentElement.dataset["entry"] === "link"
  find("page").hidden = true
  find("leave").hidden = true
  find("enter").hidden = false
  find("by-link").hidden = !isByLink
  find("by-token").hidden = isByLink
  setText(find("enter-error"), problem)
  showConnection("signed out")
  if (!isByLink) find("token").focus()
}

const begin = (snapshot: Snapshot): void => {
  isOperator = snapshot.isOperator
  find("enter").hidden = true
  find("page").hidden = false
  find("leave").hidden = false
  setText(find("title"), snapshot.title)
  document.title = `${snapshot.title} · mcp-sessions`
  showConnection(isOperator ? `live · ${snapshot.principal}` : `live · ${snapshot.principal}, own sessions only`)
  clearServers()
  clearCalls()
  showServers(snapshot.servers, isOperator)
  offerServers(snapshot.servers)
  showClients(snapshot.clients)
  addCalls({ items: snapshot.calls, hidden: 0 })
}

const receive = (message: Message): void => {
  switch (message.kind) {
    case "snapshot":
      return begin(message.snapshot)
    case "servers":
      return showServers(message.servers, isOperator)
    case "clients":
      return showClients(message.clients)
    case "calls":
      return addCalls(message.calls)
  }
}

const watch = (): void => {
  source?.close()
  const opened = source = events()
  opened.addEventListener("message", ({ data }: MessageEvent<string>) => receive(JSON.parse(data) as Message))
  opened.addEventListener("error", () => {
    if (opened !== source) return
    // A browser does not try again after a refusal.
    if (opened.readyState === EventSource.CLOSED) askToEnter("")
    else showConnection("not connected; trying again")
  })
}

const enterWith = async (proof: Parameters<typeof enter>[0]): Promise<void> => {
  try {
    await enter(proof)
    watch()
  } catch (error) {
    if (error instanceof SignedOut && storedToken() !== null && "link" in proof) return watch()
    askToEnter(error instanceof Error ? error.message : String(error))
  }
}

find("enter").addEventListener("submit", (event) => {
  event.preventDefault()
  const token = find<HTMLInputElement>("token")
  void enterWith({ token: token.value.trim() })
  token.value = ""
})
find("leave").addEventListener("click", () => void leave().then(() => askToEnter("")))

const link = location.hash.slice(1)
// The secret is of no use once it was used, and is nobody's business in the history.
if (link !== "") history.replaceState(null, "", location.pathname)
if (link !== "") void enterWith({ link })
else if (storedToken() === null) askToEnter("")
else watch()
