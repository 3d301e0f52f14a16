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
import type { StartedCall } from "../request/inFlightRecord.ts"
import { ClientSession } from "../session/clientSession.ts"
import type { Registry } from "./registry.ts"

/** Receives the outcome of a call, or the effect that leads to it. */
export type OnEnd = (outcome: Effect.Effect<CallToolResult, SessionError>) => void

export interface DirectCall<E> {
  readonly registry: Registry
  readonly server: string
  readonly owner: string | undefined
  readonly tool: string
  readonly args: Record<string, unknown>
  readonly options: CallToolOptions | undefined
  /** The call on a session object: for the first use of a server, owners with credentials, tasks, and progress. */
  readonly otherwise: (owner: string) => Effect.Effect<CallToolResult, E>
}

/**
 * Starts a direct call without a fiber: for the promise facade. Returns `undefined` if the call needs one: the server is not connected, the
 * owner has credentials, permits are taken, or the circuit is open.
 */
export const startCall = (
  call: Pick<DirectCall<never>, "args" | "options" | "registry" | "server" | "tool"> & {
    readonly owner: string
    readonly onEnd: OnEnd
  }
): StartedCall | undefined => {
  const { args, onEnd, options, owner, registry, server, tool } = call
  const leased = registry.tryShared(server, owner)
  if (leased === undefined) return undefined
  const { core, lease } = leased
  const end = Effect.sync(() => registry.endLease(lease))
  const flight = core.executor.start(ClientSession.toolCall(core, tool, args, options), registry.caller, (outcome) => {
    if (!Exit.isExit(outcome)) return onEnd(Effect.ensuring(outcome, end))
    registry.endLease(lease)
    onEnd(outcome)
  })
  if (flight === undefined) {
    registry.endLease(lease)
    return undefined
  }
  return { cancel: Effect.andThen(flight.cancel, end) }
}

export const directCall = <E>(call: DirectCall<E>): Effect.Effect<CallToolResult, E | SessionError> =>
  Effect.callback((resume) => {
    const { args, options, otherwise, registry, server, tool } = call
    const fiber = Fiber.getCurrent() as Fiber.Fiber<unknown, unknown>
    const owner = call.owner ?? fiber.getRef(CurrentOwner)
    const isPlain = options?.task === undefined && options?.onProgress === undefined
    const leased = isPlain ? registry.tryShared(server, owner) : undefined
    if (leased === undefined) return resume(otherwise(owner))
    const { core, lease } = leased
    const end = Effect.sync(() => registry.endLease(lease))
    const flight = core.executor.begin(
      ClientSession.toolCall(core, tool, args, options),
      registry.caller,
      fiber,
      (outcome) => {
        if (!Exit.isExit(outcome)) return resume(Effect.ensuring(outcome, end))
        registry.endLease(lease)
        resume(outcome)
      }
    )
    if (flight !== undefined) return Effect.andThen(flight.cancel, end)
  })
