/**
 * The life of the connection to one server, as a pure machine: in which phase it is, and what it may do next.
 *
 * **Details**
 *
 * A connection is made when it is wanted. When it is lost it is made again, when it is wanted again or for those who wait for
 * news. Each one has the next `generation`; what is reported of an older one changes nothing. A server that is started more
 * than {@link maxStarts} times within {@link startWindow} is down until the first of those starts is that long ago; one
 * whose circuit is open, until that allows a try. Nobody waits for a server that is down: calls fail with `ServerDown`.
 *
 * ```text
 * Idle ──wanted──▶ Connecting ──connected──▶ Ready ◀──heard── Suspect
 *   ▲ ▲               │   ▲                   │ └──silent──▶    │
 *   │ └──gave up── Backoff┘                   │                 │
 *   │                 ├──too often, circuit──▶ Down ──due──▶ Connecting
 *   └─────────────────┴────────── lost ◀──────┴─────────────────┘
 * any ──closing──▶ Draining ──closed──▶ Closed
 * ```
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import type { SessionError } from "./SessionError.ts"

/**
 * The phase of a connection. Times are in milliseconds since the epoch.
 *
 * - `Idle`: there is none, and nobody asks for one.
 * - `Connecting`: the `attempt`th try of this round, from 1.
 * - `Ready`: there is one.
 * - `Suspect`: there is one, and it owes a sign of life.
 * - `Backoff`: the next try comes at `retryAt`, if anyone still wants it.
 * - `Down`: no try before `retryAt`; it heals by itself.
 * - `Draining`: it is being closed for good.
 * - `Closed`: it is.
 *
 * @category models
 * @since 0.1.0
 */
export type Phase =
  | { readonly _tag: "Idle" }
  | { readonly _tag: "Connecting"; readonly attempt: number }
  | { readonly _tag: "Ready"; readonly generation: number }
  | { readonly _tag: "Suspect"; readonly generation: number }
  | {
    readonly _tag: "Backoff"
    readonly attempt: number
    readonly error: SessionError
  }
  | { readonly _tag: "Down"; readonly retryAt: number; readonly error: SessionError | undefined }
  | { readonly _tag: "Draining" }
  | { readonly _tag: "Closed" }

/**
 * What there is to know of a connection in order to decide.
 *
 * @category models
 * @since 0.1.0
 */
export interface State {
  readonly phase: Phase
  /** The number of the latest connection, 0 before the first. */
  readonly generation: number
  /** When connections were made, the latest within {@link startWindow}. */
  readonly starts: ReadonlyArray<number>
}

/**
 * What happens to a connection.
 *
 * @category models
 * @since 0.1.0
 */
export type Event =
  | { readonly _tag: "Attempted"; readonly now: number }
  | { readonly _tag: "Failed"; readonly error: SessionError }
  | { readonly _tag: "GaveUp" }
  | { readonly _tag: "Connected"; readonly now: number }
  | { readonly _tag: "Silent"; readonly generation: number }
  | { readonly _tag: "Heard"; readonly generation: number }
  | { readonly _tag: "Lost"; readonly generation: number }
  | { readonly _tag: "Down"; readonly retryAt: number; readonly error: SessionError | undefined }
  | { readonly _tag: "Closing" }
  | { readonly _tag: "Closed" }

/**
 * How many connections may be made within {@link startWindow}. Value: 5. A server that dies as often as it is started does so
 * for a reason that starting it does not remove.
 *
 * @category defaults
 * @since 0.1.0
 */
export const maxStarts = 5

/**
 * The time over which starts are counted. Value: 1 minute.
 *
 * @category defaults
 * @since 0.1.0
 */
export const startWindow: Duration.Duration = Duration.minutes(1)

/**
 * Before anything has happened.
 *
 * @category constructors
 * @since 0.1.0
 */
export const initial: State = { phase: { _tag: "Idle" }, generation: 0, starts: [] }

const windowMillis = Duration.toMillis(startWindow)

const within = (starts: ReadonlyArray<number>, now: number): ReadonlyArray<number> =>
  starts.filter((start) => now - start < windowMillis)

/**
 * When the next connection may be made: `now`, or later if too many were made of late.
 *
 * @category getters
 * @since 0.1.0
 */
export const startableAt = (options: { readonly state: State; readonly now: number }): number => {
  const { now, state } = options
  const recent = within(state.starts, now)
  const oldest = recent.at(-maxStarts)
  return oldest === undefined ? now : oldest + windowMillis
}

const isOver = ({ phase }: State): boolean => phase._tag === "Draining" || phase._tag === "Closed"

/**
 * What becomes of a connection when something happens. What does not fit the phase, such as a late report about an older
 * connection, changes nothing.
 *
 * @category transitions
 * @since 0.1.0
 */
export const transition = (options: { readonly state: State; readonly event: Event }): State => {
  const { event, state } = options
  const { generation, phase } = state
  const to = (phase: Phase): State => ({ ...state, phase })
  const isOf = (generation: number) =>
    (phase._tag === "Ready" || phase._tag === "Suspect") && phase.generation === generation
  switch (event._tag) {
    case "Closing":
      return phase._tag === "Closed" ? state : to({ _tag: "Draining" })
    case "Closed":
      return to({ _tag: "Closed" })
  }
  if (isOver(state)) return state
  switch (event._tag) {
    case "Attempted":
      return phase._tag === "Ready" || phase._tag === "Suspect"
        ? state
        : { ...to({ _tag: "Connecting", attempt: phase._tag === "Backoff" ? phase.attempt + 1 : 1 }) }
    case "Failed":
      return phase._tag === "Connecting"
        ? to({ _tag: "Backoff", attempt: phase.attempt, error: event.error })
        : state
    case "GaveUp":
      return phase._tag === "Backoff" || phase._tag === "Connecting" ? to({ _tag: "Idle" }) : state
    case "Connected": {
      const next = generation + 1
      return phase._tag === "Connecting"
        ? {
          phase: { _tag: "Ready", generation: next },
          generation: next,
          starts: [...within(state.starts, event.now), event.now]
        }
        : state
    }
    case "Silent":
      return isOf(event.generation) ? to({ _tag: "Suspect", generation: event.generation }) : state
    case "Heard":
      return isOf(event.generation) ? to({ _tag: "Ready", generation: event.generation }) : state
    case "Lost":
      return isOf(event.generation) ? to({ _tag: "Idle" }) : state
    case "Down":
      return isOf(generation) ? state : to({ _tag: "Down", retryAt: event.retryAt, error: event.error })
  }
}
