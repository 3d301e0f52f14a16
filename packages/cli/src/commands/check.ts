/**
 * `check`: connects to servers concurrently, pings them and lists their tools.
 */
import * as RetryPolicy from "@mcp-sessions/core/RetryPolicy"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { disabled, toJson } from "../Check.ts"
import * as CheckTable from "../CheckTable.ts"
import { errorOf, usableOf } from "../Configured.ts"
import { CheckFailed } from "../Failure.ts"
import { lines } from "../FailureText.ts"
import { Output } from "../Output.ts"
import { durationFlag, root, timeout } from "./root.ts"
import { chooseServers, findServers, noteNoServers } from "./selection.ts"
import { withSessions } from "./sessions.ts"
import { watchHealth } from "./watchHealth.ts"

export const check = Command.make("check", {
  servers: Argument.String("server").pipe(
    Argument.withDescription("Names or URLs of servers, or the command of one after -- (default: all enabled servers)"),
    Argument.variadic()
  ),
  allow: Flag.String("allow").pipe(
    Flag.withMetavar("server"),
    Flag.withDescription("Server that may be unhealthy without failing the check; can be repeated"),
    Flag.atLeast(0)
  ),
  timeout: timeout("Time limit for each server"),
  watch: durationFlag("watch", "Hold sessions, ping them at this interval (default: 30s), and show each change").pipe(
    Flag.withOptionalValue("30s"),
    Flag.optional
  )
}, ({ allow, servers: names, timeout, watch }) =>
  Effect.gen(function*() {
    const output = yield* Output
    const { json } = yield* root
    const { all, servers } = yield* chooseServers(names)
    yield* findServers(all, allow)
    const own = withSessions({ servers, limit: timeout, retry: RetryPolicy.never })
    if (Option.isSome(watch) && servers.length > 0) {
      const unusable = errorOf(servers)
      if (unusable !== undefined) yield* Effect.forEach(lines(unusable), output.note, { discard: true })
      const names = usableOf(servers).map(({ name }) => name)
      const options = { servers: names, interval: watch.value, json }
      return yield* own(Effect.scoped(watchHealth(options)))
    }
    const checked = yield* CheckTable.run({ servers, show: !json }).pipe(own)
    // The disabled servers are mentioned, unless some servers were asked for.
    const rows = all.servers.flatMap((server) =>
      names.length === 0 && server.isDisabled
        ? [disabled(server)]
        : checked.filter(({ name }) => name === server.name)
    )
    if (json) yield* output.printJson({ schema: "mcp-sessions/1", servers: checked.map(toJson) })
    else if (rows.length > 0) yield* CheckTable.print(rows)
    if (servers.length === 0) yield* noteNoServers(all)
    const unhealthy = checked.filter(({ isHealthy, name }) => !isHealthy && !allow.includes(name))
    if (unhealthy.length > 0) return yield* new CheckFailed({ servers: unhealthy.map(({ name }) => name) })
  })).pipe(
    Command.withDescription("Connect to servers, ping them and list their tools"),
    Command.withExamples([
      { command: "mcp-sessions check --watch=10s", description: "Show the health of all servers, live" },
      { command: "mcp-sessions check", description: "Check all servers" },
      { command: "mcp-sessions check files --timeout 5s --json", description: "Check one server and print JSON" }
    ])
  )
