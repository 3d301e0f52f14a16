/**
 * Records whether an operation has written a request, for a caller that gives up and has to know how far the operation got.
 */
import * as Context from "effect/Context"

export class Writes {
  /** The record of the operation that this one is part of. */
  readonly #parent: Writes | undefined
  #isWritten = false

  constructor(parent?: Writes) {
    this.#parent = parent
  }

  /** Whether a byte of a request may have left. */
  get isWritten(): boolean {
    return this.#isWritten
  }

  /** Called before the first byte of each request. */
  mark(): void {
    this.#isWritten = true
    this.#parent?.mark()
  }
}

/** Reference to the record of the current operation. Default: none. */
export const CurrentWrites = Context.Reference<Writes | undefined>(
  "@mcp-sessions/core/internal/request/CurrentWrites",
  { defaultValue: () => undefined }
)
