import { assert, describe, it } from "@effect/vitest"
import { run } from "@mcp-sessions/cli/Cli"
import * as HealthTable from "@mcp-sessions/cli/HealthTable"
import { Invocation } from "@mcp-sessions/cli/Invocation"
import { name, trusted } from "@mcp-sessions/cli/Shown"
import { HealthWatch } from "@mcp-sessions/core"
import { Effect, Fiber } from "effect"
import { fixture, isAlive, makeLedger } from "../fixtures/peer.ts"
import { captured, workplace } from "./cli.ts"
import * as Terminal from "./terminal.ts"

const row = (name: string, rest: Partial<HealthWatch.WatchedServer>): HealthWatch.WatchedServer => ({
  ...HealthWatch.unknown(name),
  ...rest
})

describe("the table of watched servers", () => {
  const rows = [
    row("files", { health: "healthy", state: "ready", latencies: [4, 8.25], restarts: 2 }),
    row("搜索", { health: "unhealthy", state: "backoff", latencies: [undefined] }),
    row("later", {})
  ]
  const lines = (options: { readonly width: number; readonly height: number }) =>
    HealthTable.lines({
      rows,
      interval: "30s",
      style: (_, text) => typeof text === "string" ? name(text) : trusted(text.text),
      ...options
    })

  it("has a line for each server, and how many are healthy", () => {
    assert.deepStrictEqual(lines({ width: 100, height: 24 }).map(({ text }) => text.trimEnd()), [
      "mcp-sessions check  1 of 3 healthy  every 30s; Ctrl+C ends",
      "",
      "   SERVER  HEALTH     STATE    LATENCY  HISTORY  RESTARTS  LAST ERROR",
      "✓  files   healthy    ready    8.3 ms   ▄█       2",
      "✗  搜索    unhealthy  backoff           ×        0",
      "…  later   unknown    idle                       0"
    ])
  })

  it("counts the servers that a low terminal has no room for", () => {
    const shown = lines({ width: 100, height: 5 }).map(({ text }) => text)
    assert.strictEqual(shown.length, 5)
    assert.strictEqual(shown.at(-1), "… and 2 more, 0 of 2 healthy")
  })
})

describe.concurrent("check --watch without a terminal", () => {
  it.live("prints a line for each change, or a JSON document on a line, and releases the sessions when it ends", () =>
    Effect.gen(function*() {
      const { file, read } = yield* makeLedger
      const place = yield* workplace
      place.write("mcp-sessions.json", {
        servers: {
          good: { command: process.execPath, args: [fixture("stdioServer.ts"), "v1", file] },
          absent: { command: "no-such-command" }
        }
      })
      for (const words of [["--trust", "check", "--watch=50ms"], ["--trust", "check", "--watch=50ms", "--json"]]) {
        const stdout = captured()
        const fiber = yield* Effect.forkChild(
          Effect.provideService(run(words), Invocation, { ...place.invocation({}), stdout })
        )
        yield* stdout.writes(/good\W[^]*absent|absent\W[^]*good/)
        const lines = () => stdout.text().trimEnd().split("\n")
        const before = lines().length
        process.kill(Number(read("process").at(-1)), "SIGKILL")
        yield* stdout.writes(
          words.includes("--json") ? /"restarts":1/ : /good {2}healthy {2}ready[^]*good {2}healthy {2}ready/
        )
        yield* Fiber.interrupt(fiber)
        assert.isAbove(lines().length, before)
        assert.isBelow(lines().length, 12, stdout.text())
        assert.isFalse(isAlive(read("process").at(-1) ?? 0))
        if (words.includes("--json")) {
          const changes = lines().map((line) => JSON.parse(line))
          assert.deepInclude(changes.find(({ server }) => server === "absent"), {
            schema: "mcp-sessions/1",
            health: "unhealthy",
            restarts: 0
          })
          assert.isTrue(
            changes.some(({ lastError, server }) => server === "absent" && lastError.code === "SpawnFailed")
          )
        } else assert.match(stdout.text(), /^\d{4}-\d\d-\d\dT[\d:.]+Z {2}absent {2}unhealthy {2}\w+ {2}SpawnFailed: /m)
      }
    }).pipe(Effect.scoped))
})

describe.concurrent("check --watch at a terminal", () => {
  it.live("shows a live table on the second screen, and gives the terminal back on Ctrl+C, with the last table", () =>
    Effect.gen(function*() {
      const { file, read } = yield* makeLedger
      const place = yield* workplace
      place.write("mcp-sessions.json", {
        servers: { good: { command: process.execPath, args: [fixture("stdioServer.ts"), "v1", file] } }
      })
      const terminal = yield* Terminal.start(place, ["check", "--watch=200ms"], { columns: 90, rows: 10 })
      yield* terminal.shows(/✓ {2}good +healthy +ready .*ms +[▁▂▃▄▅▆▇█]+ +0/)
      assert.deepStrictEqual(terminal.modes(), { isCursorShown: false, isAlternate: true })
      assert.include(terminal.screen()[0], "1 of 1 healthy  every 200ms")
      process.kill(Number(read("process").at(-1)), "SIGKILL")
      yield* terminal.shows(/good +healthy +ready .* 1( |$)/m)
      terminal.resize(40, 10)
      yield* terminal.shows(/^ {3}SERVER {2}HEALTH .{0,23}\n✓ {2}good/m)
      // Each frame is one write: an update never ends before the next begins.
      assert.notMatch(terminal.written(), /\?2026h(?:(?!\?2026l)[^])*\?2026h/)
      terminal.type(Terminal.keys.ctrlC)
      assert.strictEqual(yield* terminal.exit, 130)
      assert.deepStrictEqual(terminal.modes(), { isCursorShown: true, isAlternate: false })
      assert.match(terminal.screen().join("\n"), /1 of 1 healthy[^]*✓ {2}good +healthy/)
      assert.isFalse(isAlive(read("process").at(-1) ?? 0))
    }).pipe(Effect.scoped))

  it.live("gives the terminal back if a second signal ends it at once", () =>
    Effect.gen(function*() {
      const { file } = yield* makeLedger
      const place = yield* workplace
      // It ignores the end of its input, so that closing takes a while.
      const args = [fixture("faultyStdio.mjs"), "hang", file]
      place.write("mcp-sessions.json", { servers: { hung: { command: process.execPath, args, protocol: "legacy" } } })
      const terminal = yield* Terminal.start(place, ["check", "--watch=200ms"])
      yield* terminal.shows(/hung/)
      terminal.kill("SIGTERM")
      terminal.kill("SIGINT")
      yield* terminal.exit
      assert.deepStrictEqual(terminal.modes(), { isCursorShown: true, isAlternate: false })
    }).pipe(Effect.scoped))
})
