/**
 * Observations of a client under a fault. A cell of the table has a verdict and a measurement, which differs from run to run.
 */
import { setTimeout } from "node:timers/promises"
import type { Ledger } from "../fixtures/ledger.ts"
import { isAlive } from "../fixtures/processes.ts"
import type { ComparedSession } from "./ComparedClient.ts"

export interface Cell {
  readonly verdict: string
  readonly measured?: string | undefined
  /** More detail than the table in the README has room for. */
  readonly detail?: string | undefined
}

/** How long to wait for any outcome, in milliseconds. */
export const outcomeTimeout = 8000

/** How long to repeat a call before its session counts as dead, in milliseconds. */
const retryTimeout = 5000

type Outcome =
  & { readonly millis: number }
  & ({ readonly _tag: "Answered" } | { readonly _tag: "Failed"; readonly error: unknown } | {
    readonly _tag: "Pending"
  })

/** Waits for an outcome, or until the time is over. */
export const outcomeOf = async (run: () => Promise<unknown>, limit = outcomeTimeout): Promise<Outcome> => {
  const start = performance.now()
  const ended = (async () => run())().then(
    () => ({ _tag: "Answered" as const }),
    (error: unknown) => ({ _tag: "Failed" as const, error })
  )
  const timer = new AbortController()
  const pending = setTimeout(limit, { _tag: "Pending" as const }, { signal: timer.signal })
  const outcome = await Promise.race([ended, pending])
  timer.abort()
  return { ...outcome, millis: performance.now() - start }
}

/** Waits until a condition holds or the time is over; resolves with whether it holds. */
export const holdsWithin = async (millis: number, holds: () => boolean): Promise<boolean> => {
  const end = performance.now() + millis
  while (!holds()) {
    if (performance.now() > end) return false
    await setTimeout(10)
  }
  return true
}

export const duration = (millis: number): string =>
  millis < 1000 ? `${Math.round(millis)} ms` : `${(millis / 1000).toFixed(1)} s`

/** The tag or the class of an error, by which a program can tell it without its message, and its code if there is one. */
const kindOf = (error: unknown): readonly [kind: string, kindAndCode: string] => {
  const { code, constructor, name, reason, statusCode } = Object(error)
  if (error instanceof DOMException) return [name, name]
  const kind = String(reason?._tag ?? constructor.name)
  const number = code ?? statusCode
  return [kind, number === undefined ? kind : `${kind} ${number}`]
}

export const failureOf = (outcome: Outcome): string =>
  outcome._tag === "Failed" ? kindOf(outcome.error)[1] : outcome._tag.toLowerCase()

/** A call as its caller sees it. */
export const cellOf = (outcome: Outcome): Cell => {
  if (outcome._tag === "Pending") return { verdict: "pending" }
  const measured = duration(outcome.millis)
  if (outcome._tag === "Answered") return { verdict: "answered", measured }
  const [kind, detail] = kindOf(outcome.error)
  return { verdict: kind, measured, detail: detail === kind ? undefined : detail }
}

export const echo = (session: ComparedSession) => session.call("echo", { message: "hello" })
export const charge = (session: ComparedSession, id = "1") => outcomeOf(() => session.call("charge", { id }))

/** Whether a session works after a fault: at once, after a while, or with tools listed again. */
export const nextCall = async (session: ComparedSession): Promise<Cell> => {
  const start = performance.now()
  let first: string | undefined
  while (performance.now() - start < retryTimeout) {
    const outcome = await outcomeOf(() => echo(session))
    if (outcome._tag === "Pending") return { verdict: "pending" }
    if (outcome._tag === "Answered") {
      return first === undefined
        ? { verdict: "ok" }
        : { verdict: "ok later", measured: duration(performance.now() - start), detail: `first ${first}` }
    }
    first ??= failureOf(outcome)
    await setTimeout(250)
  }
  if (session.refresh !== undefined) {
    await outcomeOf(session.refresh)
    const outcome = await outcomeOf(() => echo(session))
    if (outcome._tag === "Answered") return { verdict: "new tools ok", detail: `tools held: ${first}` }
  }
  return { verdict: "dead", detail: first }
}

/** How often calls ran that were made once each. */
export const times = (counts: ReadonlyArray<number>): string => {
  const [least, most] = [Math.min(...counts), Math.max(...counts)]
  return least === most ? `${most}×` : `${least}× to ${most}×`
}

/** The processes that a ledger names and that are alive. */
export const leftOf = ({ read }: Ledger) =>
  ["server", "grandchild"].flatMap((role) => read(role).filter(isAlive).map((pid) => ({ role, pid: Number(pid) })))
