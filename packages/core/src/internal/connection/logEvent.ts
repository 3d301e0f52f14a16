/**
 * Logs the changes of a connection.
 */
import type * as Context from "effect/Context"
import { logChange } from "../telemetry/stateLog.ts"
import type { Event } from "./stateMachine.ts"

/** What is logged of an event. Connecting is not: its end is. */
const changeOf = (event: Event, generation: number) => {
  switch (event._tag) {
    case "Connected":
      return { change: generation > 1 ? "reconnected" : "connected" } as const
    case "Failed":
      return { change: "connectFailed", error: event.error } as const
    case "TimedOut":
      return { change: "unresponsive" } as const
    case "Responded":
      return { change: "responsive" } as const
    case "Lost":
      return { change: event.error === undefined ? "retired" : "lost", error: event.error } as const
    case "Down":
      return { change: "down", error: event.error } as const
    case "Closed":
      return generation === 0 ? undefined : { change: "closed" } as const
    default:
      return undefined
  }
}

/** Logs an event that has changed the state of a connection. */
export const logEvent = ({ context, event, generation, owner, server }: {
  readonly context: Context.Context<never>
  readonly event: Event
  readonly generation: number
  readonly owner: string
  readonly server: string
}): void => {
  const logged = changeOf(event, generation)
  if (logged !== undefined) logChange({ context, server, owner, generation, ...logged })
}
