/**
 * How all calls ended. Kept in typed arrays, which are not in the heap: what the soak remembers of the calls must not look like a leak
 * of what it measures.
 */
import type { FaultLog } from "./FaultLog.ts"

/** The ways in which servers are called. */
export const targets = ["stdio", "http", "pool", "websocket", "fallback"] as const
export type Target = (typeof targets)[number]

/** `charge` must run once at most; `put` may be repeated. */
export const kinds = ["read", "put", "charge"] as const
export type Kind = (typeof kinds)[number]

/** When a call was made: while all was well, under a fault, while everything failed, or after that. */
export const circumstances = ["quiet", "fault", "outage", "after"] as const
export type Circumstance = (typeof circumstances)[number]

/** How a call ended: answered, or as what, and how far it had got. */
export interface Ending {
  readonly what: string
  readonly delivery: "Answered" | "NotSent" | "Rejected" | "Unknown" | "Untyped"
  /** Whether any server was asked, as far as can be told. */
  readonly wasAsked: boolean
}

export const answered: Ending = { what: "answered", delivery: "Answered", wasAsked: true }

/** One call, to be looked at when all is over. */
export interface Call {
  readonly id: number
  readonly target: Target
  readonly kind: Kind
  readonly circumstance: Circumstance
  readonly millis: number
  /** Absent while it is under way. */
  readonly ending: Ending | undefined
}

export class Tally {
  phase: "faults" | "outage" | "after" = "faults"
  begun = 0
  ended = 0
  failed = 0
  /** How often those who watch were told of a list. */
  told = 0
  /** How what nobody waits for has failed, where that was not declared. */
  readonly strays: Array<string> = []
  readonly #faults: FaultLog
  readonly #startedAt: Float64Array
  readonly #took: Float32Array
  readonly #what: Uint8Array
  readonly #circumstance: Uint8Array
  readonly #ending: Uint16Array
  /** The first is that of calls which are under way. */
  readonly #endings: Array<Ending | undefined> = [undefined]
  readonly #known = new Map<string, number>()

  constructor(options: { readonly capacity: number; readonly faults: FaultLog }) {
    const { capacity } = options
    this.#faults = options.faults
    this.#startedAt = new Float64Array(capacity)
    this.#took = new Float32Array(capacity)
    this.#what = new Uint8Array(capacity)
    this.#circumstance = new Uint8Array(capacity)
    this.#ending = new Uint16Array(capacity)
  }

  /** Notes that a call begins, and gives it an id. */
  begin(target: Target, kind: Kind): number {
    const id = this.begun++
    this.#startedAt[id] = performance.now()
    this.#what[id] = targets.indexOf(target) * kinds.length + kinds.indexOf(kind)
    this.#circumstance[id] = circumstances.indexOf(this.#now(target))
    return id
  }

  end(id: number, target: Target, ending: Ending): void {
    const startedAt = this.#startedAt[id] ?? 0
    this.ended++
    this.#took[id] = performance.now() - startedAt
    if (this.#circumstance[id] === 0) this.#circumstance[id] = circumstances.indexOf(this.#now(target))
    if (ending === answered) this.#faults.answered({ target, startedAt })
    else this.failed++
    const key = `${ending.what} ${ending.delivery} ${ending.wasAsked}`
    let code = this.#known.get(key)
    if (code === undefined) {
      code = this.#endings.push(ending) - 1
      this.#known.set(key, code)
    }
    this.#ending[id] = code
  }

  *calls(): Generator<Call> {
    for (let id = 0; id < this.begun; id++) {
      const what = this.#what[id] ?? 0
      yield {
        id,
        target: targets[Math.floor(what / kinds.length)] as Target,
        kind: kinds[what % kinds.length] as Kind,
        circumstance: circumstances[this.#circumstance[id] ?? 0] as Circumstance,
        millis: this.#took[id] ?? 0,
        ending: this.#endings[this.#ending[id] ?? 0]
      }
    }
  }

  #now(target: Target): Circumstance {
    if (this.phase !== "faults") return this.phase
    return this.#faults.isUnder(target) ? "fault" : "quiet"
  }
}
