/**
 * Views of servers and clients for one principal. Pure.
 *
 * An operator sees everything. Any other principal sees the state and the latency of all servers, and its own sessions and errors.
 */
import type { ConfigError } from "@mcp-sessions/core/ConfigError"
import type { WatchedServer } from "@mcp-sessions/core/HealthWatch"
import type { SessionError } from "@mcp-sessions/core/SessionError"
import type { Client, Status } from "./backend.ts"
import { cut, end } from "./text.ts"
import type { ClientView, Cut, ErrorView, ServerView } from "./views.ts"

const nameLimit = 200
const messageLimit = 1000
const stderrLimit = 4000
const urlLimit = 4000

/** How many clients are listed, and how many sessions of each. */
const clientLimit = 100
const sessionLimit = 50

/** A server and its state. */
export interface Known {
  readonly row: WatchedServer
  /** `undefined` for a server without a usable definition. */
  readonly status: Status | undefined
}

/** The principal that views the page. */
export interface Viewer {
  readonly principal: string
  readonly isOperator: boolean
  /** The owners of the principal's sessions. */
  readonly owners: ReadonlySet<string>
}

export const viewerOf = (
  { clients, isOperator, principal }: Omit<Viewer, "owners"> & { readonly clients: ReadonlyArray<Client> }
): Viewer => ({
  principal,
  isOperator,
  owners: new Set(clients.flatMap((client) => client.principal === principal ? [client.owner] : []))
})

const firstLine = (text: string): string => text.split("\n", 1).join()

export const errorView = (error: SessionError | ConfigError): ErrorView => {
  if (error._tag === "ConfigError") {
    const message = error.problems.map(({ description }) => firstLine(description)).join("; ")
    return { reason: "ConfigError", message: cut(message, messageLimit), stderr: undefined }
  }
  const { reason } = error
  const stderr = "stderrTail" in reason ? reason.stderrTail : undefined
  return {
    reason: reason._tag,
    message: cut(firstLine(reason.message), messageLimit),
    stderr: stderr === undefined || stderr === "" ? undefined : end(stderr, stderrLimit)
  }
}

const isOpen = ({ state }: Status["connections"][number]): boolean => state._tag === "Ready" || state._tag === "Suspect"

/** Returns the URL if a link may lead to it: http or https only. */
const webUrl = (url: string | undefined): string | undefined => {
  const page = url === undefined || url.length > urlLimit ? null : URL.parse(url)
  return page?.protocol === "https:" || page?.protocol === "http:" ? page.href : undefined
}

const signInOf = (connections: Status["connections"]): ServerView["signIn"] => {
  for (const { signIn } of connections) {
    if (signIn._tag === "SigningIn") return { isPending: true, url: webUrl(signIn.url) }
  }
  return connections.some(({ signIn }) => signIn._tag === "SignedOut")
    ? { isPending: false, url: undefined }
    : undefined
}

/** The latest error of the principal's own connections. */
const ownError = (connections: Status["connections"]): ErrorView | undefined => {
  for (const { state } of connections) {
    if ((state._tag === "Backoff" || state._tag === "Down") && state.error !== undefined) return errorView(state.error)
  }
  return undefined
}

export const serverView = ({ row, status }: Known, { isOperator, owners }: Viewer): ServerView => {
  const all = status?.connections ?? []
  const seen = isOperator ? all : all.filter(({ owner }) => owners.has(owner))
  return {
    name: cut(row.name, nameLimit),
    health: row.health,
    state: row.state,
    circuit: status?.circuit.state ?? "closed",
    latencies: row.latencies.map((latency) => latency === undefined ? null : Math.round(latency * 10) / 10),
    restarts: row.restarts,
    connections: seen.filter(isOpen).length,
    inFlight: isOperator ? status?.inFlight ?? 0 : seen.reduce((sum, { inFlight }) => sum + inFlight, 0),
    lastError: isOperator
      ? row.lastError === undefined ? undefined : errorView(row.lastError)
      : ownError(seen),
    signIn: isOperator ? signInOf(all) : undefined
  }
}

/** The clients that the viewer sees, with their sessions, busy ones first. */
export const clientViews = (
  { clients, known, viewer }: {
    readonly clients: ReadonlyArray<Client>
    readonly known: ReadonlyArray<Known>
    readonly viewer: Viewer
  }
): Cut<ClientView> => {
  const sessions = new Map<string, Array<ClientView["sessions"][number]>>()
  for (const { row: { name }, status } of known) {
    for (const { owner, state } of status?.connections ?? []) {
      const own = sessions.get(owner) ?? []
      sessions.set(owner, own)
      own.push({ server: cut(name, nameLimit), state: state._tag.toLowerCase() })
    }
  }
  const isSeen = ({ owner, principal }: Client) =>
    principal === undefined
      ? viewer.isOperator && sessions.has(owner)
      : viewer.isOperator || principal === viewer.principal
  const seen = clients.filter(isSeen)
    .toSorted((left, right) => right.inFlight - left.inFlight)
  return {
    items: seen.slice(0, clientLimit).map(({ inFlight, label, owner, principal = "" }) => ({
      key: `${principal}/${label}`,
      principal: cut(principal, nameLimit),
      label: cut(label, nameLimit),
      inFlight,
      sessions: (sessions.get(owner) ?? []).slice(0, sessionLimit)
    })),
    hidden: Math.max(0, seen.length - clientLimit)
  }
}
