/**
 * `up`: holds sessions in the foreground for the commands of a project.
 */
import type { Sessions } from "@mcp-sessions/core/Sessions"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import { usableOf, withAnswers } from "../Configured.ts"
import { UsageError } from "../Failure.ts"
import type { Opening } from "../internal/holder/hold.ts"
import { countOf } from "../internal/text.ts"
import { Invocation } from "../Invocation.ts"
import { Output } from "../Output.ts"
import { line } from "../Shown.ts"
import { holdingFlags, openSessions, refuseUnusable, splitNames, toUsageError } from "./holding.ts"
import { consentOfPage, notePage } from "./page.ts"
import { durationFlag, root } from "./root.ts"
import { loadConfigured, selectServers } from "./selection.ts"

/** Waits until no command has run for the idle time. */
const idled = ({ idle, load }: {
  readonly idle: Duration.Duration
  readonly load: Opening["load"]
}): Effect.Effect<void> =>
  Effect.gen(function*() {
    let running = 0
    while (true) {
      const next = Queue.take(load)
      const change = running > 0 ? Option.some(yield* next) : yield* Effect.timeoutOption(next, idle)
      if (Option.isNone(change)) return
      running = change.value
    }
  })

/** Serves the dashboard page of held sessions, and returns sessions whose calls it shows. */
const servePage = Effect.fnUntraced(function*(
  sessions: Sessions["Service"],
  { names, project }: { readonly names: ReadonlyArray<string>; readonly project: string }
) {
  const Dashboard = yield* Effect.promise(() => import("@mcp-sessions/transports/Dashboard"))
  const page = yield* Dashboard.serve({ sessions, title: project, servers: names, onUrl: yield* notePage }).pipe(
    Effect.catchTag("ListenFailed", ({ message }) => Effect.fail(new UsageError({ problems: [`--ui: ${message}`] })))
  )
  return page.sessions
})

export const up = Command.make("up", {
  names: Argument.String("server").pipe(
    Argument.withDescription("Servers to hold (default: all enabled servers)"),
    Argument.variadic()
  ),
  idle: durationFlag("idle", "Stop after this time without a command: seconds, or a duration such as 10m").pipe(
    Flag.optional
  ),
  isAll: Flag.Boolean("all").pipe(
    Flag.withDescription("Hold all enabled servers (the default without names)"),
    Flag.withDefault(false)
  ),
  ui: Flag.Boolean("ui").pipe(
    Flag.withDescription(
      "Serve the dashboard page on a free port of this machine: servers, calls, and a form for tools"
    ),
    Flag.withDefault(false)
  ),
  ...holdingFlags
}, ({ bestEffort, idle, isAll, names, timeout, ui }) =>
  Effect.gen(function*() {
    // Other commands start faster without this.
    const [{ hold }, { watchConfiguration }, { nearerConfiguration }] = yield* Effect.promise(() =>
      Promise.all([
        import("../internal/holder/hold.ts"),
        import("../internal/holder/configurationChange.ts"),
        import("../internal/holder/nearerConfiguration.ts")
      ])
    )
    const output = yield* Output
    const { directory, environment } = yield* Invocation
    const { json } = yield* root
    if (isAll && names.length > 0) {
      return yield* new UsageError({ problems: ["--all: expected no names of servers beside it"] })
    }
    const all = yield* loadConfigured
    // Taken before any question or connection, so that changes during the start count.
    const reload = Effect.provideContext(
      loadConfigured,
      yield* Effect.context<Effect.Services<typeof loadConfigured>>()
    )
    const isCurrent = watchConfiguration({ configured: all, reload })
    const servers = yield* selectServers(all, splitNames(names, all))
    if (!bestEffort) yield* refuseUnusable(servers)
    const held = {
      command: "up",
      project: directory,
      configured: withAnswers(all, servers),
      names: usableOf(servers).map(({ name }) => name),
      isCurrent,
      hasOwnConfiguration: nearerConfiguration({ project: directory, environment })
    } as const
    yield* hold(held, ({ lend, load, pid, socket, stopped }) =>
      Effect.gen(function*() {
        const opened = yield* openSessions({
          servers,
          limit: timeout,
          bestEffort,
          consent: ui ? consentOfPage(json) : undefined
        })
        yield* lend(ui ? { ...opened, sessions: yield* servePage(opened.sessions, held) } : opened)
        if (json) {
          yield* output.printJson({
            schema: "mcp-sessions/1",
            socket,
            project: directory,
            pid,
            servers: held.names
          })
        } else {
          yield* output.print(
            line`holding ${countOf(held.names.length, "session")} for ${directory}: ${held.names.join(", ")}`
          )
          yield* output.print(line`socket: ${socket}`)
        }
        yield* Option.isSome(idle) ? Effect.raceFirst(stopped, idled({ idle: idle.value, load })) : stopped
      })).pipe(
        Effect.scoped,
        Effect.catchTag("ListenFailed", (failure) => Effect.fail(toUsageError(failure)))
      )
  })).pipe(
    Command.withDescription("Hold sessions in the foreground, for the commands of this directory and those below"),
    Command.withExamples([
      { command: "mcp-sessions up", description: "Hold the sessions of all servers until Ctrl+C" },
      { command: "mcp-sessions up --ui", description: "Hold them, and show them on the dashboard page" },
      {
        command: "mcp-sessions up github --idle 10m",
        description: "Hold one session until no command has used it for ten minutes"
      }
    ])
  )
