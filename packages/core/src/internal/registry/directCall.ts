/**
 * Direct call: a tool call on the shared session of an owner, without a session object or a scope.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type { CallToolResult } from "../../Mcp.ts"
import { CurrentOwner } from "../../Owner.ts"
import type { CallToolOptions } from "../../Session.ts"
import type { SessionError } from "../../SessionError.ts"
import type { Checked } from "../config/callOptions.ts"
import type { InFlight, OnEnd, StartedCall } from "../request/inFlightRecord.ts"
import { toolCall } from "../session/toolCall.ts"
import type { Registry } from "./registry.ts"
import type { Lease } from "./sharedCores.ts"

export interface DirectCall<E> {
  readonly registry: Registry
  readonly server: string
  readonly owner: string | undefined
  readonly tool: string
  readonly args: Record<string, unknown>
  readonly options: Checked<CallToolOptions> | undefined
  /** The call on a session object: for the first use of a server, owners with credentials, tasks, and progress. */
  readonly otherwise: (owner: string) => Effect.Effect<CallToolResult, E>
}

/** What follows a failed first attempt needs the core for longer, and ends the lease after it. */
const untilEnded = (lease: Lease, outcome: Effect.Effect<CallToolResult, SessionError>) =>
  Effect.ensuring(outcome, Effect.sync(() => lease.end()))

/** A direct call without a fiber. */
class Started implements StartedCall {
  readonly flight: InFlight
  readonly #lease: Lease

  constructor(flight: InFlight, lease: Lease) {
    this.flight = flight
    this.#lease = lease
  }

  drop(): void {
    this.flight.drop()
    this.#lease.end()
  }
}

/**
 * Starts a direct call without a fiber: for the promise facade. Returns `undefined` if the call needs one: the server is not connected, the
 * owner has credentials, permits are taken, or the circuit is open.
 */
export const startCall = (
  call: Pick<DirectCall<never>, "args" | "options" | "registry" | "server" | "tool"> & {
    readonly owner: string
    readonly onEnd: OnEnd<CallToolResult, SessionError>
  }
): StartedCall | undefined => {
  const { args, onEnd, options, owner, registry, server, tool } = call
  const lease = registry.tryShared(server, owner)
  if (lease === undefined) return undefined
  const operation = toolCall(lease.core, tool, args, options)
  const flight = lease.core.executor.start(operation, registry.caller, undefined, (outcome, failed) => {
    if (!Exit.isExit(outcome)) return onEnd(untilEnded(lease, outcome), failed)
    lease.end()
    onEnd(outcome, failed)
  })
  if (flight !== undefined) return new Started(flight, lease)
  lease.end()
  return undefined
}

export const directCall = <E>(call: DirectCall<E>): Effect.Effect<CallToolResult, E | SessionError> =>
  Effect.callback((resume) => {
    const { args, options, otherwise, registry, server, tool } = call
    const fiber = Fiber.getCurrent() as Fiber.Fiber<unknown, unknown>
    const owner = call.owner ?? fiber.getRef(CurrentOwner)
    const isPlain = options?.task === undefined && options?.onProgress === undefined
    const lease = isPlain ? registry.tryShared(server, owner) : undefined
    if (lease === undefined) return resume(otherwise(owner))
    let isStarting = true
    const operation = toolCall(lease.core, tool, args, options)
    const flight = lease.core.executor.begin(operation, registry.caller, fiber, (outcome) => {
      if (Exit.isExit(outcome)) {
        lease.end()
        return resume(outcome)
      }
      const ended = untilEnded(lease, outcome)
      // The finalizer that ends the lease of an interrupted call is not in place before this function has returned.
      if (isStarting) void Promise.resolve().then(() => resume(ended))
      else resume(ended)
    })
    isStarting = false
    if (flight === undefined) {
      lease.end()
      return resume(otherwise(owner))
    }
    return Effect.sync(() => {
      flight.drop()
      lease.end()
    })
  })
