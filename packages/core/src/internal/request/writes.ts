/**
 * Records which requests of an operation were written, for a caller that gives up and has to know how far the operation got.
 */
import * as Context from "effect/Context"
import { type LostReason, OutcomeUnknown, type Reason } from "../../SessionError.ts"
import type { Kind } from "./operation.ts"

/** A request of which a byte may have left. */
export interface Written {
  readonly kind: Kind
  readonly method: string
  /** The JSON-RPC id, where it is known. */
  readonly id: string | number | undefined
  /** In milliseconds since the epoch, for the error. */
  readonly sentAtWall: number
}

export class Writes {
  /** The record of the operation that this one is part of. */
  readonly #parent: Writes | undefined
  /** The tool calls and the other requests that may have run. */
  #tools = 0
  #others = 0
  /** The latest tool call. */
  #tool: Written | undefined

  constructor(parent?: Writes) {
    this.#parent = parent
  }

  /** Whether a request of the operation may have run. */
  get isWritten(): boolean {
    return this.#tools + this.#others > 0
  }

  /** Called before the first byte of each request. */
  written(request: Written): void {
    if (request.kind._tag === "ToolCall") {
      this.#tools++
      this.#tool = request
    } else this.#others++
    this.#parent?.written(request)
  }

  /** Called if it turns out that a written request did not run. */
  refused(request: Written): void {
    if (request.kind._tag === "ToolCall") this.#tools--
    else this.#others--
    this.#parent?.refused(request)
  }

  /** The reason with which the operation ends if its caller gives it up and `lost` says why; `undefined` if nothing was written. */
  endOf(lost: LostReason): Reason | undefined {
    const call = this.#tool
    if (this.#tools === 0 || call?.kind._tag !== "ToolCall") return this.isWritten ? lost : undefined
    const { id, kind: { tool }, method, sentAtWall } = call
    return new OutcomeUnknown({ method, tool, requestId: id, sentAt: sentAtWall, lost })
  }
}

/** Reference to the record of the current operation. Default: none. */
export const CurrentWrites = Context.Reference<Writes | undefined>(
  "@mcp-sessions/core/internal/request/CurrentWrites",
  { defaultValue: () => undefined }
)
