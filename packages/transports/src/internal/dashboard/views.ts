/**
 * Views: the data of the page. Plain JSON, bounded in number and length. All texts in it may be of servers, so the page shows them as text.
 */

/** A server as one principal sees it. */
export interface ServerView {
  readonly name: string
  readonly health: "unknown" | "healthy" | "unhealthy"
  /** The state of the connection, such as `ready` or `backoff`. */
  readonly state: string
  readonly circuit: "closed" | "open" | "half-open" | "ejected"
  /** The times of the latest pings in milliseconds, the last one last; `null` for a ping that failed. */
  readonly latencies: ReadonlyArray<number | null>
  /** How many connections there were after the first. */
  readonly restarts: number
  /** The connections that are open, and the requests in flight on them: those of the principal, or for an operator all. */
  readonly connections: number
  readonly inFlight: number
  readonly lastError: ErrorView | undefined
  /** Whether a sign-in is needed or in progress, and the page to visit for it. */
  readonly signIn: { readonly isPending: boolean; readonly url: string | undefined } | undefined
}

/** A failure, and the end of what the process of the server wrote to stderr. */
export interface ErrorView {
  readonly reason: string
  readonly message: string
  readonly stderr: string | undefined
}

/** A client, and its sessions at servers. */
export interface ClientView {
  /** Tells the clients apart. */
  readonly key: string
  readonly principal: string
  /** The kind of client, such as the revision that it speaks. */
  readonly label: string
  readonly inFlight: number
  readonly sessions: ReadonlyArray<{ readonly server: string; readonly state: string }>
}

/** A use of a server that has ended. */
export interface CallView {
  readonly principal: string
  readonly client: string
  readonly method: string
  readonly name: string
  readonly server: string | undefined
  readonly outcome: "Succeeded" | "ToolError" | "Failed" | "Cancelled"
  /** How far it got: `NotSent`, `Rejected`, `Unknown` (it may have run) or `Answered`. */
  readonly delivery: string
  readonly reason: string | undefined
  /** In milliseconds. */
  readonly duration: number
  /** How long ago it ended when the message was made, in milliseconds. */
  readonly age: number
}

/** A list that may be cut, and how many items are left out. */
export interface Cut<A> {
  readonly items: ReadonlyArray<A>
  readonly hidden: number
}

/** Everything that the page shows at its start. */
export interface Snapshot {
  readonly title: string
  readonly principal: string
  readonly isOperator: boolean
  readonly servers: ReadonlyArray<ServerView>
  readonly clients: Cut<ClientView>
  /** The latest calls, the last one last. */
  readonly calls: ReadonlyArray<CallView>
}

/** A message of the event stream. A new stream begins with a snapshot. */
export type Message =
  | { readonly kind: "snapshot"; readonly snapshot: Snapshot }
  | { readonly kind: "servers"; readonly servers: ReadonlyArray<ServerView> }
  | { readonly kind: "clients"; readonly clients: Cut<ClientView> }
  | { readonly kind: "calls"; readonly calls: Cut<CallView> }

/** A tool, for the form. */
export interface ToolView {
  readonly name: string
  readonly title: string | undefined
  readonly description: string | undefined
  /** The schema of the arguments; `undefined` if it is too large to be a form. */
  readonly schema: unknown
  readonly isReadOnly: boolean
  readonly isDestructive: boolean
}

/** A part of a result. `isCut`: the rest is left out. */
export type BlockView =
  | { readonly type: "text" | "json"; readonly text: string; readonly isCut: boolean }
  | { readonly type: "image"; readonly mimeType: string; readonly data: string }
  /** Says what is not shown. */
  | { readonly type: "note"; readonly text: string }

/** How a call from the form ended. */
export interface ResultView {
  readonly outcome: CallView["outcome"]
  readonly delivery: string
  readonly reason: string | undefined
  readonly message: string | undefined
  readonly blocks: ReadonlyArray<BlockView>
  readonly duration: number
}

/** The answer to a sign-in: the token that each later request of the page has to carry beside the cookie. */
export interface Entered {
  readonly token: string
}
