/**
 * State machine of a connection: a pure transition function.
 */
import * as Duration from "effect/Duration"
import { type ConnectionState, maxStarts, startWindow } from "../../ConnectionState.ts"
import type { SessionError } from "../../SessionError.ts"

export interface Machine {
  readonly state: ConnectionState
  /** The number of the latest connection; 0 before the first. */
  readonly generation: number
  /** The times at which connections were made, within the start window before the latest. */
  readonly starts: ReadonlyArray<number>
}

export type Event =
  | { readonly _tag: "Attempted" }
  | { readonly _tag: "Failed"; readonly error: SessionError }
  | { readonly _tag: "GaveUp" }
  | { readonly _tag: "Connected"; readonly now: number }
  | { readonly _tag: "TimedOut"; readonly generation: number }
  | { readonly _tag: "Responded"; readonly generation: number }
  | { readonly _tag: "Lost"; readonly generation: number; readonly error?: SessionError | undefined }
  | { readonly _tag: "Down"; readonly retryAt: number; readonly error: SessionError | undefined }
  | { readonly _tag: "Closing" }
  | { readonly _tag: "Closed" }

export const initial: Machine = { state: { _tag: "Idle" }, generation: 0, starts: [] }

const windowMillis = Duration.toMillis(startWindow)

const within = (starts: ReadonlyArray<number>, now: number): ReadonlyArray<number> =>
  starts.filter((start) => now - start < windowMillis)

/** The time from which the next connection may be made: `now`, or later if too many were made within the window. */
export const startableAt = ({ machine: { starts }, now }: {
  readonly machine: Machine
  readonly now: number
}): number => {
  const first = within(starts, now).at(-maxStarts)
  return first === undefined ? now : first + windowMillis
}

export const isConnected = (state: ConnectionState): boolean => state._tag === "Ready" || state._tag === "Suspect"

/** The machine after an event. An event that does not fit the state, such as a late report about an older connection, is ignored. */
export const transition = ({ event, machine }: { readonly machine: Machine; readonly event: Event }): Machine => {
  const { generation, state } = machine
  const to = (state: ConnectionState): Machine => ({ ...machine, state })
  const isOf = (generation: number) =>
    (state._tag === "Ready" || state._tag === "Suspect") && state.generation === generation
  if (event._tag === "Closed") return to({ _tag: "Closed" })
  if (state._tag === "Closed") return machine
  if (event._tag === "Closing") return to({ _tag: "Draining" })
  if (state._tag === "Draining") return machine
  switch (event._tag) {
    case "Attempted":
      return isConnected(state)
        ? machine
        : to({ _tag: "Connecting", attempt: state._tag === "Backoff" ? state.attempt + 1 : 1 })
    case "Failed":
      return state._tag === "Connecting"
        ? to({ _tag: "Backoff", attempt: state.attempt, error: event.error })
        : machine
    case "GaveUp":
      return state._tag === "Backoff" || state._tag === "Connecting" ? to({ _tag: "Idle" }) : machine
    case "Connected": {
      if (state._tag !== "Connecting") return machine
      const next = generation + 1
      return {
        state: { _tag: "Ready", generation: next },
        generation: next,
        starts: [...within(machine.starts, event.now), event.now]
      }
    }
    case "TimedOut":
      return isOf(event.generation) ? to({ _tag: "Suspect", generation: event.generation }) : machine
    case "Responded":
      return isOf(event.generation) ? to({ _tag: "Ready", generation: event.generation }) : machine
    case "Lost":
      return isOf(event.generation) ? to({ _tag: "Idle" }) : machine
    case "Down":
      return isOf(generation) ? machine : to({ _tag: "Down", retryAt: event.retryAt, error: event.error })
  }
}
