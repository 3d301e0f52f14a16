/**
 * How all calls ended, which faults there were, and how long after each fault its targets answered again. Calls are kept in typed
 * arrays, outside the heap: they must not look like a leak.
 */

/** The ways in which servers are called. */
export const targets = ["stdio", "http", "pool", "websocket", "fallback"] as const
export type Target = (typeof targets)[number]

/** `charge` must run at most once; `put` is idempotent. */
export const kinds = ["read", "put", "charge"] as const
export type Kind = (typeof kinds)[number]

/** When a call was made: without a fault, under a fault, while everything failed, or after that. */
export const circumstances = ["quiet", "fault", "outage", "after"] as const
export type Circumstance = (typeof circumstances)[number]

export interface Ending {
  /** `answered`, or the name of the failure. */
  readonly what: string
  readonly delivery: "Answered" | "NotSent" | "Rejected" | "Unknown" | "Untyped"
  /** Whether any server was asked, as far as the client can know. */
  readonly wasAsked: boolean
}

export const answered: Ending = { what: "answered", delivery: "Answered", wasAsked: true }

export interface Call {
  readonly id: number
  readonly target: Target
  readonly kind: Kind
  readonly circumstance: Circumstance
  readonly millis: number
  /** Absent while the call is in flight. */
  readonly ending: Ending | undefined
}

/** A fault at one target. */
interface OpenFault {
  readonly name: string
  /** Absent while it lasts. */
  clearedAt: number | undefined
}

export class Tally {
  phase: "faults" | "outage" | "after" = "faults"
  begun = 0
  ended = 0
  failed = 0
  faults = 0
  /** How many lists the watchers received. */
  lists = 0
  /** Undeclared failures of effects that no call awaits. */
  readonly strays: Array<string> = []
  readonly #open = new Map<Target, Array<OpenFault>>()
  readonly #recoveries = new Map<string, { count: number; millis: Array<number> }>()
  readonly #startedAt: Float64Array
  readonly #took: Float32Array
  readonly #what: Uint8Array
  readonly #circumstance: Uint8Array
  readonly #ending: Uint16Array
  /** The first stands for calls in flight. */
  readonly #endings: Array<Ending | undefined> = [undefined]
  readonly #codes = new Map<string, number>()

  constructor(capacity: number) {
    this.#startedAt = new Float64Array(capacity)
    this.#took = new Float32Array(capacity)
    this.#what = new Uint8Array(capacity)
    this.#circumstance = new Uint8Array(capacity)
    this.#ending = new Uint16Array(capacity)
  }

  /** Records that a call begins, and gives it an id. */
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
    // A fault may have begun during the call.
    if (this.#circumstance[id] === 0) this.#circumstance[id] = circumstances.indexOf(this.#now(target))
    if (ending === answered) this.#recover(target, startedAt)
    else this.failed++
    const key = JSON.stringify(ending)
    let code = this.#codes.get(key)
    if (code === undefined) {
      code = this.#endings.push(ending) - 1
      this.#codes.set(key, code)
    }
    this.#ending[id] = code
  }

  /** Records that a fault begins; the result records that it ends. */
  fault(name: string, at: ReadonlyArray<Target>): () => void {
    this.faults++
    const recovery = this.#recoveries.get(name) ?? { count: 0, millis: [] }
    recovery.count++
    this.#recoveries.set(name, recovery)
    const opened = at.map((target) => {
      const fault: OpenFault = { name, clearedAt: undefined }
      this.#open.set(target, [...this.#open.get(target) ?? [], fault])
      return fault
    })
    return () => {
      for (const fault of opened) fault.clearedAt = performance.now()
    }
  }

  /** The faults by name: how many, and the times from the end of each to the first answer. */
  *recoveries() {
    const open = [...this.#open.values()].flat()
    for (const [name, { count, millis }] of [...this.#recoveries].toSorted()) {
      yield { name, count, millis, open: open.filter((fault) => fault.name === name).length }
    }
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
    return (this.#open.get(target)?.length ?? 0) > 0 ? "fault" : "quiet"
  }

  /** A fault is over with the first answer to a call that began after the fault had ended. */
  #recover(target: Target, startedAt: number): void {
    const open = this.#open.get(target)
    if (open === undefined || open.length === 0) return
    const isOver = ({ clearedAt }: OpenFault) => clearedAt !== undefined && clearedAt <= startedAt
    for (const { clearedAt = 0, name } of open.filter(isOver)) {
      this.#recoveries.get(name)?.millis.push(performance.now() - clearedAt)
    }
    this.#open.set(target, open.filter((fault) => !isOver(fault)))
  }
}
