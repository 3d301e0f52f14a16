/**
 * Runs a call with the process that was started early for it, and remembers what it has started.
 */
import * as EarlyProcess from "@mcp-sessions/transports/EarlyProcess"
import * as Processes from "@mcp-sessions/transports/Processes"
import { CurrentEra } from "@mcp-sessions/transports/Stdio"
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import process from "node:process"
import { CurrentLaunch } from "./currentLaunch.ts"
import { Findings } from "./findings.ts"
import { sourceOf } from "./memo.ts"
import { MemoStore } from "./memoStore.ts"
import type { EarlyLaunch } from "./startEarly.ts"

type ProcessOptions = Processes.ProcessOptions

/** How long a process may take to end that the call has no use for. The end of this process kills what is left. */
const endTimeout = "500 millis"

const isSame = (a: ProcessOptions, b: ProcessOptions): boolean => {
  const entries = Object.entries(a.env)
  return a.command === b.command && a.cwd === b.cwd && areSame(a.args, b.args) && areSame(a.given, b.given) &&
    entries.length === Object.keys(b.env).length && entries.every(([name, value]) => b.env[name] === value)
}

const areSame = (a: ReadonlyArray<string>, b: ReadonlyArray<string>): boolean =>
  a.length === b.length && a.every((text, index) => text === b[index])

/** Starts processes, the first one by taking the process that runs already, if it is what would be started. */
const withEarly = (
  ...[processes, { early }, started]: readonly [Processes.Processes, EarlyLaunch, Array<ProcessOptions>]
): Processes.Processes => ({
  prepare: processes.prepare,
  start: (options) =>
    Effect.suspend(() => {
      started.push(options)
      if (early === undefined) return processes.start(options)
      if (!isSame(early.options, options)) {
        void early.end()
        return processes.start(options)
      }
      return Effect.acquireRelease(
        Effect.promise(() => early.take()),
        (taken) => Effect.promise(async () => taken?.close())
      ).pipe(Effect.filterOrElse(Predicate.isNotUndefined, () => processes.start(options)))
    })
})

/** Writes the memo of a call, unless it started its process from one, or depends on more than was found. */
const remember = (options: {
  readonly launch: EarlyLaunch
  readonly findings: Findings
  readonly started: ReadonlyArray<ProcessOptions>
  /** Whether the server has shown that it is of the legacy era. */
  readonly isLegacy: boolean
}): void => {
  const { findings, isLegacy, launch: { early, memo, ...last }, started: [first, ...more] } = options
  if (memo === undefined || first === undefined || !findings.isWhole || !more.every((one) => isSame(one, first))) return
  const isKnown = early !== undefined && isSame(early.options, first)
  if (isKnown && last.isRecent && last.isLegacy === isLegacy) return
  const { facts, texts, variables } = findings
  const { env } = process
  const source = sourceOf(first, { facts, texts, variables, environment: env, inherited: EarlyProcess.inherited() })
  const store = source === undefined ? undefined : MemoStore.make(memo.directory)
  if (source === undefined || store === undefined) return
  const values = store.hash(Array.from(variables, (variable) => [variable, env[variable] ?? null]))
  store.write(memo.name(store), { facts, variables: [...variables], values, launch: source, isLegacy })
}

/** Runs a call with its launch. The process that was started early ends with the call, whether it was used or not. */
export const runLaunch =
  (launch: EarlyLaunch | undefined) => <E, R>(call: Effect.Effect<number, E, R>): Effect.Effect<number, E, R> => {
    if (launch === undefined) return call
    const findings = new Findings()
    const started: Array<ProcessOptions> = []
    const era = { isLegacy: launch.isLegacy }
    return Effect.flatMap(Processes.Processes, (processes) =>
      call.pipe(
        // Without a place for its memo, the next call only takes longer.
        Effect.tap((status) =>
          status === 0 ? Effect.ignore(Effect.try(() => remember({ launch, findings, started, ...era }))) : Effect.void
        ),
        Effect.provideService(CurrentLaunch, {
          observe: (host) => findings.observe(host),
          refuse: () => findings.refuse()
        }),
        Effect.provideService(Processes.Processes, withEarly(processes, launch, started)),
        Effect.provideService(CurrentEra, era),
        Effect.ensuring(Effect.timeoutOption(Effect.promise(async () => launch.early?.end()), endTimeout))
      ))
  }
