/**
 * Records which requests of an operation were written, for a caller that gives up and has to know how far the operation got.
 */
import * as Context from "effect/Context"
import { type LostReason, OutcomeUnknown, type Reason } from "../../SessionError.ts"
import type { Kind } from "./operation.ts"

/** A request that may have been written. */
export interface Written {
  readonly kind: Kind
  readonly method: string
  /** The JSON-RPC id, where it is known. */
  readonly id: string | number | undefined
  /** In milliseconds since the epoch, for the error. */
  readonly sentAtWall: number
}

/** The reason with which a written request ends if its caller gives it up, and `lost` says why. */
export const givenUp = ({ id, kind, method, sentAtWall }: Written, lost: LostReason): Reason =>
  kind._tag === "ToolCall"
    ? new OutcomeUnknown({ method, tool: kind.tool, requestId: id, sentAt: sentAtWall, lost })
    : lost

export class Writes {
  /** The record of the operation that this one is part of. */
  readonly #parent: Writes | undefined
  /** The tool calls and the other requests that may have run. */
  #tools = 0
  #others = 0
  /** The latest of them; the latest tool call, if there was one. */
  #latest: Written | undefined

  /** `before` is a written request of the operation, which the parent knows already. */
  constructor(parent: Writes | undefined, before?: Written) {
    this.#parent = parent
    if (before !== undefined) this.#count(before, 1)
  }

  /** Whether a request of the operation may have run. */
  get isWritten(): boolean {
    return this.#tools + this.#others > 0
  }

  /** Called before the first byte of each request. */
  written(request: Written): void {
    this.#count(request, 1)
    this.#parent?.written(request)
  }

  /** Called if it turns out that a written request did not run. */
  refused(request: Written): void {
    this.#count(request, -1)
    this.#parent?.refused(request)
  }

  /** The reason with which the operation ends if its caller gives it up; `undefined` if no request of it may have run. */
  givenUp(lost: LostReason): Reason | undefined {
    const latest = this.#latest
    if (latest === undefined || !this.isWritten) return undefined
    return this.#tools > 0 ? givenUp(latest, lost) : lost
  }

  #count(request: Written, by: 1 | -1): void {
    const isTool = request.kind._tag === "ToolCall"
    if (isTool) this.#tools += by
    else this.#others += by
    if (by === 1 && (isTool || this.#latest?.kind._tag !== "ToolCall")) this.#latest = request
  }
}

/** Reference to the record of the current operation. Default: none. */
export const CurrentWrites = Context.Reference<Writes | undefined>(
  "@mcp-sessions/core/internal/request/CurrentWrites",
  { defaultValue: () => undefined }
)
