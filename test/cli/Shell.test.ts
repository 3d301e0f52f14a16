import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { mkdirSync, readFileSync, statSync } from "node:fs"
import { join } from "node:path"
import { fixture, isAlive, makeLedger } from "../fixtures/peer.ts"
import { workplace } from "./cli.ts"
import * as Terminal from "./terminal.ts"

const setting = Effect.gen(function*() {
  const { file, read } = yield* makeLedger
  const place = yield* workplace
  const server = { command: process.execPath, args: [fixture("stdioServer.ts"), "v1", file] }
  place.write("mcp-sessions.json", { servers: { good: server, other: server } })
  return { place, read }
})

describe.concurrent("shell without a terminal", () => {
  it.live("runs the commands of standard input with one session, and ends with the status of the last one", () =>
    Effect.gen(function*() {
      const { place, read } = yield* setting
      const input = `# a script
call good/echo message=one --no-validate
call good/echo --args {
  "message": "two"
}
call good/nothing
mcp-sessions call other/echo message=three --no-validate
shell
`
      const outcome = yield* place.run(["shell", "good"], { input })
      assert.strictEqual(outcome.stdout, "one\ntwo\nthree\n")
      assert.strictEqual(outcome.status, 2)
      assert.include(outcome.stderr, "error[ToolNotFound] good/nothing")
      assert.include(outcome.stderr, "shell cannot run within the shell")
      // The held session of one server, and the own one of the command that uses the other.
      assert.strictEqual(read("process").length, 2)
      for (const pid of read("process")) assert.isFalse(isAlive(pid))
      for (const ending of ["exit", "  quit "]) {
        const input = `call good/echo message=one --no-validate\n${ending}\ncall good/nothing\n`
        assert.deepStrictEqual(yield* place.run(["shell", "good"], { input }), {
          status: 0,
          stdout: "one\n",
          stderr: ""
        })
      }
      assert.strictEqual((yield* place.run(["shell", "good"], { input: "call 'good" })).status, 2)
    }).pipe(Effect.scoped))
})

describe.concurrent("servers that a shell does not reach", () => {
  const withBad = Effect.map(setting, ({ place }) => {
    const server = { command: process.execPath, args: [fixture("richStdio.mjs")] }
    place.write("mcp-sessions.json", {
      servers: { good: server, off: { ...server, disabled: true }, absent: { command: "/no/such/program" } }
    })
    return place
  })

  it.live("are enabled in their file, if they are disabled, for the next shell", () =>
    Effect.gen(function*() {
      const place = yield* withBad
      const { stderr } = yield* place.run(["shell", "good"], { input: "call off/echo" })
      assert.include(stderr, "error[DisabledServer] off")
      assert.include(stderr, "  try: enable it in mcp-sessions.json, and start the shell again\n")
      const own = yield* place.run(["call", "off/echo"])
      assert.include(own.stderr, "  try: enable it in mcp-sessions.json\n")
    }).pipe(Effect.scoped))

  it.live("are not among those that the first line says are held", () =>
    Effect.gen(function*() {
      const terminal = yield* Terminal.start(yield* withBad, ["shell"], { columns: 120 })
      yield* terminal.shows(/holding good; not connected: absent; Tab completes/)
    }).pipe(Effect.scoped))
})

describe.concurrent("shell at a terminal", () => {
  it.live("completes names, reads JSON over lines, cancels with Ctrl+C, ends with Ctrl+D, and keeps a history without secrets", () =>
    Effect.gen(function*() {
      const { place, read } = yield* setting
      const state = join(place.directory, "state")
      mkdirSync(state)
      const open = Terminal.start(place, ["shell", "good"], { columns: 100, env: { XDG_STATE_HOME: state } })
      yield* Effect.scoped(Effect.gen(function*() {
        const terminal = yield* open
        yield* terminal.shows(/mcp>$/)
        for (
          const [typed, shown, completed] of [
            ["ca", /mcp> ca$/, /mcp> call$/],
            ["go", /call go$/, /call good\/$/],
            ["ec", /good\/ec$/, /good\/echo$/],
            ["message=hello --no-v", /--no-v$/, /--no-validate$/]
          ] as const
        ) {
          terminal.type(typed)
          yield* terminal.shows(shown)
          terminal.type(Terminal.keys.tab)
          yield* terminal.shows(completed)
        }
        terminal.type(Terminal.keys.enter)
        yield* terminal.shows(/mcp> call good\/echo message=hello --no-validate\nhello\nmcp>$/)
        terminal.type("call good/echo --args {\r\"message\": \"many\"\r}\r")
        yield* terminal.shows(/\}\nmany\nmcp>$/)
        terminal.type("call good/echo message=x password=hunter2\r")
        yield* terminal.shows(/hunter2\n[^]*mcp>$/)
        terminal.type("call good/hang --no-validate\r")
        yield* terminal.shows(/calling good\/hang/)
        terminal.type(Terminal.keys.ctrlC)
        yield* terminal.shows(/hang --no-validate\n(?:.*\n)?mcp>$/)
        terminal.type("half a line")
        yield* terminal.shows(/mcp> half a line$/)
        terminal.type(Terminal.keys.ctrlC)
        yield* terminal.shows(/half a line\^C\nmcp>$/)
        terminal.type(Terminal.keys.ctrlD)
        assert.strictEqual(yield* terminal.exit, 130)
      }))
      assert.strictEqual(read("process").length, 1)
      assert.isFalse(isAlive(read("process")[0] ?? 0))
      const file = join(state, "mcp-sessions/history")
      assert.deepStrictEqual(readFileSync(file, "utf8").split("\n"), [
        "call good/echo message=hello --no-validate",
        "call good/echo --args { \"message\": \"many\" }",
        "call good/hang --no-validate",
        ""
      ])
      assert.strictEqual(statSync(file).mode & 0o777, 0o600)
      const again = yield* open
      yield* again.shows(/mcp>$/)
      again.type(Terminal.keys.up)
      yield* again.shows(/mcp> call good\/hang --no-validate$/)
      again.kill("SIGTERM")
      assert.strictEqual(yield* again.exit, 143)
    }).pipe(Effect.scoped))
})
