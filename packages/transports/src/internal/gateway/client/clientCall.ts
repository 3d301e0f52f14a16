/**
 * Client calls: the requests of a client that are in flight, and what receives their responses.
 */
import type { LogLevel } from "@mcp-sessions/core/Notification"
import type * as Fiber from "effect/Fiber"
import type { ServerResponse } from "node:http"
import type { RpcId } from "../protocol/rpc.ts"
import type { Outgoing } from "../streams/outgoing.ts"
import type { OpenQuestions } from "./openQuestions.ts"
import type { TaskPlace } from "./tasks.ts"

/** Receives what belongs to a request: messages before its response, and the response. */
export interface Reply {
  /** Sends a message that belongs to the request; `false` if that is not possible. */
  related(message: Outgoing): boolean
  /** Takes the response; `undefined` for a request that was cancelled, which has none. `status` is that of HTTP, if it is not 200. */
  settle(message: string | undefined, status?: number): void
  /** Called from time to time while the request is in flight. */
  linger?(): void
  /** Writes no more to a response, and settles nothing; `false` if it has responses already, or is another one. */
  release?(response: ServerResponse): boolean
}

/** What a call runs on: a fiber, or a request upstream that can be cancelled. */
type Run =
  | { readonly _tag: "Fiber"; readonly fiber: Fiber.Fiber<unknown, unknown> }
  | { readonly _tag: "Request"; readonly cancel: () => void }

/** A request of the client that is in flight. */
export interface ClientCall {
  readonly id: RpcId
  readonly progressToken: RpcId | undefined
  readonly reply: Reply
  /** What its server asks, where the client fetches that: in the result of the call, or as the state of its task. */
  questions?: OpenQuestions | undefined
  /** Its place among the tasks, if it may become one. */
  place?: TaskPlace | undefined
  /** What it runs on; `undefined` before its start. */
  run: Run | undefined
  /** Ends it with an error, because it may not wait for answers of its client. */
  refuse?: (() => void) | undefined
  /** Whether the client cancelled it, and so wants no response. */
  isCancelled: boolean
  /** The lowest level of the log messages that the request asks for. Only of clients that have no stream. */
  readonly logLevel?: LogLevel | undefined
  /** The server that handles it, and the ids of its requests there. */
  server: string | undefined
  /** Whether a session at the server was given it, which may have sent it. */
  mayBeSent: boolean
  readonly upstreamIds: Array<RpcId>
}

/** Makes a call that runs on nothing yet. */
export const makeCall = (parts: Pick<ClientCall, "id" | "progressToken" | "reply">): ClientCall => ({
  ...parts,
  run: undefined,
  isCancelled: false,
  server: undefined,
  mayBeSent: false,
  upstreamIds: []
})

/** Interrupts a call. Returns the fiber to wait for; without one, the call has ended. */
export const interrupt = ({ run }: ClientCall): Fiber.Fiber<unknown, unknown> | undefined => {
  if (run?._tag === "Request") run.cancel()
  if (run?._tag !== "Fiber") return undefined
  run.fiber.interruptUnsafe()
  return run.fiber
}

/** The calls of one client by their keys: the ids of their requests, or keys of the gateway. */
export class ClientCalls extends Map<RpcId, ClientCall> {
  /** The call that a request of a server belongs to; `undefined` if that is not known. */
  of(server: string, upstreamId: RpcId | undefined): ClientCall | undefined {
    if (upstreamId === undefined) return undefined
    for (const call of this.values()) {
      if (call.server === server && call.upstreamIds.includes(upstreamId)) return call
    }
    return undefined
  }

  /** The call at a server, if there is one only. */
  onlyAt(server: string): ClientCall | undefined {
    let only: ClientCall | undefined
    for (const call of this.values()) {
      if (call.server !== server) continue
      if (only !== undefined) return undefined
      only = call
    }
    return only
  }
}

/** Writes no more to the response of calls, which are repeated elsewhere; `false` if the client has some of their responses already. */
export const releaseReply = (calls: Iterable<ClientCall>, response: ServerResponse): boolean => {
  for (const { reply } of calls) if (reply.release?.(response) === true) return true
  return false
}
