/**
 * Negotiation of the era as a pure state machine: which message of the handshake is sent when, and what settles it.
 *
 * **Details**
 *
 * - A valid answer to `server/discover` settles the era, however late it comes, unless `initialize` was accepted before it.
 * - On a channel that is one conversation, a server of both eras may turn to the legacy era with the `initialize` that it reads after a late
 *   `server/discover`. So it is asked `server/discover` once more, behind `initialize`. If it has turned, it is started once more for the modern
 *   era, if there is time, and is used in the legacy era otherwise.
 * - Silence does not settle anything: `initialize` is sent while `server/discover` stays open.
 * - A refusal of one of the two is not final while the other is open. The deadline of the connect is kept by the caller.
 * - A server that refused both, or exited, is started once more, with the other message first. There are two starts at most.
 */
import type { ConnectReason } from "@mcp-sessions/core/SessionError"

/** The first message of the handshake: `server/discover` of the modern era, or `initialize` of the legacy era. */
type Greeting = "discover" | "initialize"

export interface EraState {
  /** The eras that the definition allows. */
  readonly eras: "both" | "legacy" | "modern"
  /** Whether a channel is one conversation, which can be started anew. Over HTTP requests do not depend on each other. */
  readonly canRestart: boolean
  /** How often the server was started, this start included. */
  readonly starts: number
  /** The message that this channel begins with. */
  readonly first: Greeting
  /** `confirming`, and `overdue` after one time limit: it was answered, and has been sent again behind `initialize`. */
  readonly discover: "unsent" | "open" | "confirming" | "overdue" | "accepted" | "refused"
  readonly initialize: "unsent" | "open" | "accepted" | "refused"
  /** Whether the server has shown by an answer, and not by silence, that it is of the legacy era. */
  readonly isKnownLegacy: boolean
  /** Whether the handshake of the legacy era is done. */
  readonly isInitialized: boolean
  /** Whether so much time has passed that another start might not end before the deadline of the connect. */
  readonly isLate: boolean
  /** Why `initialize` was refused. */
  readonly refusal: ConnectReason | undefined
}

export type EraEvent =
  | { readonly _tag: "Opened" }
  /** A valid answer to `server/discover`. */
  | { readonly _tag: "Discovered" }
  /** Any other answer to `server/discover`. */
  | { readonly _tag: "DiscoverRefused"; readonly reason: ConnectReason; readonly showsLegacy: boolean }
  /** `server/discover` could not be answered: the network failed, or credentials are missing. */
  | { readonly _tag: "DiscoverFailed"; readonly reason: ConnectReason }
  /** The time limit of the probe has passed, once more each time. */
  | { readonly _tag: "Silence" }
  | { readonly _tag: "Late" }
  /** The result of `initialize` has arrived. */
  | { readonly _tag: "Accepted" }
  /** The handshake of the legacy era is done. */
  | { readonly _tag: "Initialized" }
  | { readonly _tag: "InitializeRefused"; readonly reason: ConnectReason }
  /** The channel has ended. */
  | { readonly _tag: "Ended"; readonly reason: ConnectReason }

export type EraAction =
  | { readonly _tag: "SendDiscover" }
  | { readonly _tag: "SendInitialize" }
  | { readonly _tag: "UseModern" }
  | { readonly _tag: "UseLegacy" }
  /** Ends the channel, and then opens another for the state that goes with this action. */
  | { readonly _tag: "Restart" }
  | { readonly _tag: "Fail"; readonly reason: ConnectReason }

export interface Transition {
  readonly state: EraState
  readonly action: EraAction | undefined
}

/** The limit of starts of one connect. */
export const maxStarts = 2

/** Statuses that say something about the moment, not about the server. */
const passing = new Set([408, 425, 429])

/** Whether a reason is a judgement of the server on a message, in contrast to a failure of the network or missing credentials. */
export const isRefusal = (reason: ConnectReason): boolean =>
  reason._tag === "HandshakeFailed" || reason._tag === "ProtocolMismatch" ||
  (reason._tag === "HttpFailed" && reason.status >= 400 && reason.status < 500 && !passing.has(reason.status))

/** Makes the state before the channel is opened. */
export const initial = (options: {
  readonly eras: EraState["eras"]
  readonly canRestart: boolean
  /** Whether an earlier connect has found a server of the legacy era. */
  readonly isKnownLegacy: boolean
}): EraState => {
  const { canRestart, eras } = options
  const isKnownLegacy = eras === "both" && options.isKnownLegacy
  return {
    eras,
    canRestart: canRestart && eras === "both",
    starts: 1,
    first: eras === "legacy" || isKnownLegacy ? "initialize" : "discover",
    discover: "unsent",
    initialize: "unsent",
    isInitialized: false,
    isKnownLegacy,
    isLate: false,
    refusal: undefined
  }
}

const sendDiscover = (state: EraState): Transition => ({
  state: { ...state, discover: "open" },
  action: { _tag: "SendDiscover" }
})

const sendInitialize = (state: EraState): Transition => ({
  state: { ...state, initialize: "open" },
  action: { _tag: "SendInitialize" }
})

const useModern = (state: EraState): Transition => ({
  state: { ...state, discover: "accepted", isKnownLegacy: false, refusal: undefined },
  action: { _tag: "UseModern" }
})

const useLegacy = (state: EraState): Transition => ({ state, action: { _tag: "UseLegacy" } })

const isConfirming = ({ discover }: EraState): boolean => discover === "confirming" || discover === "overdue"

const wait = (state: EraState): Transition => ({ state, action: undefined })

const fail = (state: EraState, reason: ConnectReason): Transition => ({ state, action: { _tag: "Fail", reason } })

/** Starts the server once more, for the message that this channel did not begin with. Otherwise the connect fails. */
const restart = (state: EraState, reason: ConnectReason): Transition => {
  if (!state.canRestart || state.starts >= maxStarts) return fail(state, reason)
  const first = state.first === "discover" ? "initialize" : "discover"
  return {
    state: {
      ...state,
      starts: state.starts + 1,
      first,
      // The server has judged it on the channel before: it is not sent again.
      discover: first === "initialize" ? "refused" : "unsent",
      initialize: "unsent",
      isInitialized: false,
      // Where `initialize` was sent after silence, the exit says nothing about the era.
      isKnownLegacy: first === "initialize" && (state.initialize === "unsent" || state.isKnownLegacy),
      refusal: undefined
    },
    action: { _tag: "Restart" }
  }
}

/** Starts a server of both eras once more, which has turned to the legacy era, for the modern era alone. */
const restartModern = (state: EraState): Transition => ({
  state: {
    ...state,
    eras: "modern",
    canRestart: false,
    starts: state.starts + 1,
    discover: "unsent",
    initialize: "unsent",
    isInitialized: false
  },
  action: { _tag: "Restart" }
})

/** The server has refused both messages. After `server/discover` it may have refused a second greeting, whatever it was. */
const refusedBoth = (state: EraState, reason: ConnectReason): Transition =>
  state.first === "discover" ? restart(state, reason) : fail(state, reason)

const onDiscoverRefused = (before: EraState, reason: ConnectReason, showsLegacy: boolean): Transition => {
  if (isConfirming(before)) {
    const state: EraState = { ...before, discover: "refused" }
    if (!state.isLate && state.starts < maxStarts) return restartModern(state)
    return state.isInitialized ? useLegacy(state) : wait(state)
  }
  if (before.discover !== "open") return wait(before)
  const state: EraState = {
    ...before,
    discover: "refused",
    isKnownLegacy: before.isKnownLegacy || showsLegacy
  }
  if (state.eras === "modern") return fail(state, reason)
  if (state.initialize === "unsent") return sendInitialize(state)
  return state.initialize === "refused" ? refusedBoth(state, state.refusal ?? reason) : wait(state)
}

/** `initialize` was refused, or its result cannot be used. */
const onInitializeRefused = (before: EraState, reason: ConnectReason): Transition => {
  if (before.discover === "accepted" || (before.initialize !== "open" && before.initialize !== "accepted")) {
    return wait(before)
  }
  const state: EraState = { ...before, initialize: "refused", refusal: reason }
  if (isConfirming(state)) return useModern(state)
  if (state.eras === "legacy" || !isRefusal(reason)) return fail(state, reason)
  switch (state.discover) {
    case "unsent":
      // What is remembered of the server no longer holds.
      return sendDiscover({ ...state, isKnownLegacy: false })
    case "open":
    case "confirming":
    case "overdue":
    case "accepted":
      return wait(state)
    case "refused":
      return refusedBoth(state, reason)
  }
}

/**
 * Whether a failure of `server/discover` is the failure of the connect. Once `initialize` was sent, its own outcome says more, unless the
 * server refused it and a sign-in is missing: a server can refuse the era of one message and the credentials of the other.
 */
const isReported = ({ discover, initialize }: EraState, reason: ConnectReason): boolean =>
  discover === "open" &&
  (initialize === "unsent" || (initialize === "refused" && reason._tag === "AuthRequired"))

const onDiscovered = (state: EraState): Transition => {
  if (isConfirming(state)) return useModern(state)
  if (state.discover !== "open" || state.initialize === "accepted") return wait(state)
  return state.initialize === "open" && state.canRestart
    ? { state: { ...state, discover: "confirming" }, action: { _tag: "SendDiscover" } }
    : useModern(state)
}

const onInitialized = (before: EraState): Transition => {
  if (before.initialize !== "accepted" || before.discover === "accepted") return wait(before)
  const state: EraState = { ...before, isInitialized: true }
  return isConfirming(state) ? wait(state) : useLegacy(state)
}

const onSilence = (state: EraState): Transition => {
  if (state.discover === "confirming") return wait({ ...state, discover: "overdue" })
  if (state.discover === "overdue") return state.isInitialized ? useLegacy(state) : useModern(state)
  return state.eras === "both" && state.discover === "open" && state.initialize === "unsent"
    ? sendInitialize(state)
    : wait(state)
}

/** Takes an event. Pure; events that come too late change nothing. */
export const transition = (state: EraState, event: EraEvent): Transition => {
  switch (event._tag) {
    case "Opened":
      return state.first === "discover" ? sendDiscover(state) : sendInitialize(state)
    case "Discovered":
      return onDiscovered(state)
    case "DiscoverRefused":
      return onDiscoverRefused(state, event.reason, event.showsLegacy)
    case "DiscoverFailed":
      return isReported(state, event.reason)
        ? fail(state, event.reason)
        : onDiscoverRefused(state, event.reason, false)
    case "Silence":
      return onSilence(state)
    case "Late":
      return wait({ ...state, isLate: true })
    case "Accepted":
      return wait(state.initialize === "open" ? { ...state, initialize: "accepted" } : state)
    case "Initialized":
      return onInitialized(state)
    case "InitializeRefused":
      return onInitializeRefused(state, event.reason)
    case "Ended":
      return event.reason._tag === "ServerExited" && state.initialize !== "accepted" && state.discover !== "accepted"
        ? restart(state, event.reason)
        : fail(state, state.refusal ?? event.reason)
  }
}
