/**
 * Circuit prober: probes a server in the background while its circuit is open, so that callers need not find out that it is back.
 *
 * It probes when the open time ends, and only for somebody: while a session of the server is held, or after a caller was refused. The store of
 * the circuit admits one probe at a time, of all processes that share it.
 */
import * as Effect from "effect/Effect"

/** The pause after a probe that could do nothing, in milliseconds. */
const emptyPause = 1000

/** A connection through which a server can be probed. */
export interface Probed {
  /** Whether a program holds a session on it. */
  readonly isHeld: () => boolean
  /** Runs one probe, if the circuit admits it. Its outcome changes the circuit. */
  readonly probe: Effect.Effect<void>
}

export interface CircuitProberOptions {
  /** How long to wait before the next probe, in milliseconds; `undefined` if there is nothing to probe. */
  readonly pause: Effect.Effect<number | undefined>
  readonly candidates: () => Iterable<Probed>
  /** Runs an effect in the background. */
  readonly fork: (effect: Effect.Effect<void>) => void
}

export class CircuitProber {
  readonly #options: CircuitProberOptions
  #isRunning = false
  /** Whether a caller was refused since the last probe. */
  #isWanted = false
  /** The latest connection that was probed. The next probe uses another, if there is one: its credentials may be wrong. */
  #last: Probed | undefined

  constructor(options: CircuitProberOptions) {
    this.#options = options
  }

  /** Called when the circuit has opened, and with `isWanted` when it has refused a caller. */
  wake(isWanted: boolean): void {
    if (isWanted) this.#isWanted = true
    if (this.#isRunning) return
    this.#isRunning = true
    this.#options.fork(Effect.ensuring(
      this.#loop,
      Effect.sync(() => {
        this.#isRunning = false
      })
    ))
  }

  get #loop(): Effect.Effect<void> {
    return Effect.gen({ self: this }, function*() {
      while (true) {
        const pause = yield* this.#options.pause
        if (pause === undefined) return
        // A probe that could do nothing leaves an open time that is over.
        yield* Effect.sleep(pause > 0 ? pause : emptyPause)
        const candidate = this.#next()
        if (candidate === undefined) return
        this.#isWanted = false
        this.#last = candidate
        yield* candidate.probe
      }
    })
  }

  #next(): Probed | undefined {
    const found = [...this.#options.candidates()].filter(({ isHeld }) => this.#isWanted || isHeld())
    return found[(this.#last === undefined ? 0 : found.indexOf(this.#last) + 1) % found.length]
  }
}
