/**
 * How all calls ended, which faults there were, and how long after each fault its targets answered again. Calls that have ended are
 * in a file: they must not look like a leak.
 */
import { appendFileSync, readFileSync, writeFileSync } from "node:fs"

/** The ways in which servers are called. */
export const targets = ["stdio", "http", "pool", "websocket", "fallback"] as const
export type Target = (typeof targets)[number]

/** `charge` must run at most once; `put` is idempotent. */
export const kinds = ["read", "put", "charge"] as const
export type Kind = (typeof kinds)[number]

/** When a call was made: without a fault, under a fault, while everything failed, or after that. */
export type Circumstance = "quiet" | "fault" | "outage" | "after"

export interface Ending {
  /** `answered`, or the name of the failure. */
  readonly what: string
  readonly delivery: "Answered" | "NotSent" | "Rejected" | "Unknown" | "Untyped"
}

interface Begun {
  readonly id: number
  readonly target: Target
  readonly kind: Kind
  readonly circumstance: Circumstance
}

export interface Call extends Begun, Ending {
  readonly millis: number
}

/** A fault, with the times from its ends to the first answers after it. */
export interface Fault {
  readonly name: string
  count: number
  readonly recoveries: Array<number>
  /** How many targets have not answered since. */
  open: number
}

/** A fault at a target, until the first answer to a call that began after the fault had ended. */
interface OpenFault {
  readonly fault: Fault
  readonly target: Target
  endedAt: number
}

export class Record {
  phase: "faults" | "outage" | "after" = "faults"
  begun = 0
  ended = 0
  failed = 0
  /** Undeclared failures of effects that no call awaits. */
  readonly strays: Array<string> = []
  readonly faults = new Map<string, Fault>()
  readonly #file: string
  #open: Array<OpenFault> = []

  constructor(file: string) {
    this.#file = file
    writeFileSync(file, "")
  }

  /** Records that a call begins; the result records how it ends. */
  begin(target: Target, kind: Kind): { readonly id: number; readonly end: (ending: Ending) => void } {
    const begun: Begun = { id: this.begun++, target, kind, circumstance: this.#circumstance(target) }
    const startedAt = performance.now()
    const end = (ending: Ending): void => {
      this.ended++
      if (ending.delivery === "Answered") this.#recover(target, startedAt)
      else this.failed++
      // A fault may have begun during the call.
      const circumstance = begun.circumstance === "quiet" ? this.#circumstance(target) : begun.circumstance
      const call: Call = { ...begun, ...ending, circumstance, millis: performance.now() - startedAt }
      appendFileSync(this.#file, `${JSON.stringify(call)}\n`)
    }
    return { id: begun.id, end }
  }

  /** Records that a fault begins; the result records that it ends. */
  fault(name: string, at: ReadonlyArray<Target>): () => void {
    const fault = this.faults.get(name) ?? { name, count: 0, recoveries: [], open: 0 }
    this.faults.set(name, fault)
    fault.count++
    fault.open += at.length
    const opened = at.map((target): OpenFault => ({ fault, target, endedAt: Number.POSITIVE_INFINITY }))
    this.#open.push(...opened)
    return () => {
      for (const each of opened) each.endedAt = performance.now()
    }
  }

  /** Reads all calls that have ended. */
  calls(): ReadonlyArray<Call> {
    return readFileSync(this.#file, "utf8").split("\n").slice(0, -1).map((line) => JSON.parse(line))
  }

  #circumstance(target: Target): Circumstance {
    if (this.phase !== "faults") return this.phase
    return this.#open.some((open) => open.target === target) ? "fault" : "quiet"
  }

  #recover(target: Target, startedAt: number): void {
    const isOver = (open: OpenFault) => open.target === target && open.endedAt <= startedAt
    for (const { endedAt, fault } of this.#open.filter(isOver)) {
      fault.open--
      fault.recoveries.push(performance.now() - endedAt)
    }
    this.#open = this.#open.filter((open) => !isOver(open))
  }
}
