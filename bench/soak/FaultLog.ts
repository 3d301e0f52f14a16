/**
 * Which faults there were, and how long after each one its targets answered again.
 */
import type { Target } from "./Tally.ts"

interface Open {
  readonly name: string
  /** Absent while it lasts. */
  clearedAt: number | undefined
}

/** What became of all faults of one name. Recoveries in milliseconds after the fault had ended. */
export interface Summary {
  readonly count: number
  readonly recoveries: ReadonlyArray<number>
  readonly unrecovered: number
}

export class FaultLog {
  readonly #open = new Map<Target, Array<Open>>()
  readonly #counts = new Map<string, { count: number; recoveries: Array<number> }>()
  count = 0

  /** Whether a fault lasts there, or has not been got over yet. */
  isUnder(target: Target): boolean {
    return (this.#open.get(target)?.length ?? 0) > 0
  }

  /** Notes that a fault begins, and gives what notes that it has ended. */
  begin(options: { readonly name: string; readonly targets: ReadonlyArray<Target> }): () => void {
    const { name, targets } = options
    this.count++
    const summary = this.#counts.get(name) ?? { count: 0, recoveries: [] }
    summary.count++
    this.#counts.set(name, summary)
    const opened = targets.map((target) => {
      const fault: Open = { name, clearedAt: undefined }
      this.#open.set(target, [...this.#open.get(target) ?? [], fault])
      return fault
    })
    return () => {
      const now = performance.now()
      for (const fault of opened) fault.clearedAt = now
    }
  }

  /** Notes an answer: to whatever began after a fault had ended, the fault is over. */
  answered(options: { readonly target: Target; readonly startedAt: number }): void {
    const { startedAt, target } = options
    const open = this.#open.get(target)
    if (open === undefined || open.length === 0) return
    const now = performance.now()
    this.#open.set(
      target,
      open.filter(({ clearedAt, name }) => {
        if (clearedAt === undefined || clearedAt > startedAt) return true
        this.#counts.get(name)?.recoveries.push(now - clearedAt)
        return false
      })
    )
  }

  summaries(): ReadonlyMap<string, Summary> {
    const open = [...this.#open.values()].flat()
    return new Map(
      [...this.#counts].toSorted().map(([name, { count, recoveries }]) => [name, {
        count,
        recoveries,
        unrecovered: open.filter((fault) => fault.name === name).length
      }])
    )
  }
}
