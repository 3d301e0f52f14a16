/**
 * `with` and `up` as their users run them: as processes, with signals, exit statuses and what a kill leaves behind.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { fixture, isAlive, makeLedger, until } from "../fixtures/peer.ts"
import { bin, ended, type Workplace, workplace } from "./cli.ts"
import * as Terminal from "./terminal.ts"

const node = process.execPath
const server = (file: string) => ({ command: node, args: [fixture("stdioServer.ts"), "v1", file] })

interface Setting extends Workplace {
  readonly env: Record<string, string>
  readonly ledger: (word: string) => ReadonlyArray<string>
  /** What is left in the directory of sockets. */
  readonly sockets: () => ReadonlyArray<string>
}

/** A place with two servers, `good` and `other`, both with the ledger, and a command `mcp-sessions` in `PATH`. */
const setting: Effect.Effect<Setting, never, Scope.Scope> = Effect.gen(function*() {
  const { file, read } = yield* makeLedger
  const place = yield* workplace
  place.write("mcp-sessions.json", {
    servers: { good: server(file), other: server(file), broken: { command: "no-such-command" } }
  })
  chmodSync(place.write("mcp-sessions", `#!/bin/sh\nexec '${node}' '${bin}' "$@"\n`), 0o755)
  const directory = join(place.directory, "mcp-sessions.d")
  const env = { XDG_RUNTIME_DIR: directory, PATH: `${place.directory}:${process.env.PATH}` }
  const sockets = () => existsSync(directory) ? readdirSync(join(directory, "mcp-sessions")) : []
  return { ...place, env, ledger: read, sockets }
})

/** No server runs any more, and no socket is left. */
const assertReleased = ({ ledger, sockets }: Setting) =>
  Effect.sync(() => {
    assert.deepStrictEqual(ledger("process").filter(isAlive), [])
    assert.deepStrictEqual(sockets(), [])
  })

describe.concurrent("with", () => {
  it.live("opens each session once for all calls of a script, and exits as the script does", () =>
    Effect.gen(function*() {
      const place = yield* setting
      const script = `
        for id in $(mcp-sessions call good/echo message='1 2'); do
          mcp-sessions call other/count id=$id || exit
        done
        mcp-sessions call broken/none 2>/dev/null && exit 1
        test -S "$MCP_SESSIONS_SOCK" && exit 7`
      const outcome = yield* ended(place.start(["with", "good,other", "--", "sh", "-c", script], place.env))
      assert.deepStrictEqual(outcome, { status: 7, stdout: "counted\ncounted\n", stderr: "" })
      assert.deepStrictEqual(place.ledger("count"), ["1", "2"])
      assert.strictEqual(place.ledger("process").length, 2)
      yield* assertReleased(place)
    }))

  it.live("exits as a shell would for a command that is missing, cannot be run, or was killed", () =>
    Effect.gen(function*() {
      const place = yield* setting
      const run = (...command: ReadonlyArray<string>) =>
        Effect.map(ended(place.start(["with", "good", "--", ...command], place.env)), ({ status }) => status)
      const statuses = yield* Effect.all([
        run("no-such-command"),
        run("./mcp-sessions.json"),
        run("sh", "-c", "kill -KILL $$"),
        run("sh", "-c", "kill -TERM $$")
      ], { concurrency: "unbounded" })
      assert.deepStrictEqual(statuses, [127, 126, 137, 143])
      yield* assertReleased(place)
    }))

  it.live("does not run the command if a session cannot be opened, unless --best-effort is given", () =>
    Effect.gen(function*() {
      const place = yield* setting
      const run = (...words: ReadonlyArray<string>) => ended(place.start(["with", ...words], place.env))
      const refused = yield* run("--all", "--", "touch", "ran")
      assert.strictEqual(refused.status, 4)
      assert.include(refused.stderr, "error[SpawnFailed] broken")
      assert.isFalse(existsSync(join(place.directory, "ran")))
      const { status, stderr } = yield* run("--best-effort", "good", "broken", "--", "touch", "ran")
      assert.strictEqual(status, 0)
      assert.include(stderr, "error[SpawnFailed] broken")
      assert.isTrue(existsSync(join(place.directory, "ran")))
      yield* assertReleased(place)
    }))

  it.live("passes signals on to the command, and exits as the command decides", () =>
    Effect.gen(function*() {
      const place = yield* setting
      for (const [signal, status] of [["SIGTERM", 3], ["SIGINT", 4], ["SIGHUP", 5]] as const) {
        const traps = "trap 'exit 3' TERM; trap 'exit 4' INT; trap 'exit 5' HUP"
        const script = `${traps}; touch ready-${signal}; while :; do sleep 0.05; done`
        const child = place.start(["with", "good", "--", "sh", "-c", script], place.env)
        yield* until(() => existsSync(join(place.directory, `ready-${signal}`)), (exists) => exists)
        child.kill(signal)
        assert.strictEqual((yield* ended(child)).status, status)
      }
      yield* assertReleased(place)
    }))

  it.live("lets Ctrl+C at a terminal reach the command once, and exits as the command decides", () =>
    Effect.scoped(Effect.gen(function*() {
      const place = yield* setting
      const program = `
        let count = 0
        process.on("SIGINT", () => console.log("interrupted " + ++count))
        process.on("SIGTERM", () => process.exit(40 + count))
        setInterval(() => {}, 1000)
        console.log("listening")`
      const terminal = yield* Terminal.start(place, ["with", "good", "--", node, "-e", program], { env: place.env })
      yield* terminal.shows(/listening/)
      terminal.type(Terminal.keys.ctrlC)
      yield* terminal.shows(/interrupted 1/)
      // `with` handles its signals in order: had it passed the first one on, that would arrive before this one.
      terminal.kill("SIGTERM")
      assert.strictEqual(yield* terminal.exit, 41)
      yield* assertReleased(place)
    })))

  it.live("releases everything when the command leaves processes behind", () =>
    Effect.gen(function*() {
      const place = yield* setting
      const script = "sleep 60 >/dev/null 2>&1 & echo $!"
      const { status, stdout } = yield* ended(place.start(["with", "good", "--", "sh", "-c", script], place.env))
      assert.strictEqual(status, 0)
      yield* assertReleased(place)
      assert.isTrue(isAlive(stdout.trim()))
      process.kill(Number(stdout))
    }))

  it.live("leaves no server behind when it is killed, and the next one removes its socket", () =>
    Effect.gen(function*() {
      const place = yield* setting
      const child = place.start(["with", "good", "--", "sh", "-c", "echo $$; exec sleep 60"], place.env)
      const command = yield* Effect.promise(() =>
        new Promise<string>((resolve) => child.stdout?.once("data", (text) => resolve(String(text).trim())))
      )
      child.kill("SIGKILL")
      yield* until(() => place.ledger("process").filter(isAlive), (alive) => alive.length === 0)
      assert.strictEqual(place.sockets().length, 1)
      process.kill(Number(command))
      assert.strictEqual((yield* ended(place.start(["with", "good", "--", "true"], place.env))).status, 0)
      yield* assertReleased(place)
    }))

  it.live("refuses to run without servers or without a command", () =>
    Effect.gen(function*() {
      const { run } = yield* setting
      for (
        const [words, problem] of [
          [["with", "good"], "missing command after --"],
          [["with", "--", "true"], "missing servers"],
          [["with", "--all", "good", "--", "true"], "--all: expected no names of servers"],
          [["with", "unknown", "--", "true"], "unknown server \"unknown\""]
        ] as const
      ) {
        const { status, stderr } = yield* run(words)
        assert.strictEqual(status, 2)
        assert.include(stderr, problem)
      }
    }))
})

describe.concurrent("a command that uses held sessions", () => {
  it.live("finds those of `up` from directories below, cancels its call on Ctrl+C, and works without them", () =>
    Effect.gen(function*() {
      const place = yield* setting
      const up = place.start(["up", "good"], place.env)
      yield* Effect.promise(() => new Promise((resolve) => up.stdout?.once("data", resolve)))
      const call = (...words: ReadonlyArray<string>) => place.start(["call", ...words], place.env)
      const script = "mkdir -p below && cd below && mcp-sessions call good/count id=1"
      const below = yield* ended(place.start(["with", "other", "--", "sh", "-c", script], place.env))
      assert.deepStrictEqual(below, { status: 0, stdout: "counted\n", stderr: "" })
      assert.strictEqual(place.ledger("process").length, 2)

      const hanging = call("good/hang", "id=2")
      yield* until(() => place.ledger("hang"), (lines) => lines.includes("2"))
      hanging.kill("SIGINT")
      assert.strictEqual((yield* ended(hanging)).status, 130)
      yield* until(() => place.ledger("cancelled"), (ids) => ids.includes("2"))

      const lost = call("good/hang", "id=3", "--json")
      yield* until(() => place.ledger("hang"), (lines) => lines.includes("3"))
      up.kill("SIGKILL")
      const { status, stderr } = yield* ended(lost)
      assert.strictEqual(status, 12)
      assert.deepInclude(JSON.parse(stderr).error, { code: "HolderLost", outcome: "unknown" })

      const alone = yield* ended(call("good/count", "id=4"))
      assert.deepStrictEqual(alone, { status: 0, stdout: "counted\n", stderr: "" })
      yield* until(() => place.ledger("process").filter(isAlive), (alive) => alive.length === 0)
      const none = yield* ended(place.start(["status"], place.env))
      assert.strictEqual(none.status, 2)
      assert.strictEqual(
        none.stderr,
        "error[Usage]: no sessions are held for this directory\n  try: mcp-sessions up\n"
      )
      const nothing = yield* ended(place.start(["down"], place.env))
      assert.strictEqual(nothing.stderr, "error[Usage]: no sessions are held for this directory\n")
    }))

  it.live("uses the nearest definition of a server: that of its directory, not that of `up` above", () =>
    Effect.gen(function*() {
      const place = yield* setting
      const up = place.start(["up", "good"], place.env)
      yield* Effect.promise(() => new Promise((resolve) => up.stdout?.once("data", resolve)))
      const nearer = { command: node, args: [fixture("richStdio.mjs"), join(place.directory, "nearer")] }
      mkdirSync(join(place.directory, "below"))
      place.write("below/mcp-sessions.json", { servers: { good: nearer } })
      const script = "cd below && mcp-sessions --trust call good/ticks"
      const below = yield* ended(place.start(["with", "other", "--", "sh", "-c", script], place.env))
      assert.deepStrictEqual(below, { status: 0, stdout: "ticks\n", stderr: "" })
      assert.match(readFileSync(join(place.directory, "nearer"), "utf8"), /^call ticks/m)
      up.kill("SIGTERM")
      yield* ended(up)
      yield* assertReleased(place)
    }))

  it.live("does not use a socket of MCP_SESSIONS_SOCK that others can open, and says so", () =>
    Effect.gen(function*() {
      const place = yield* setting
      const unsafe = `
        chmod "$1" "$(if test "$2" = file; then echo "$MCP_SESSIONS_SOCK"; else dirname "$MCP_SESSIONS_SOCK"; fi)"
        mcp-sessions --trust call good/count id=1`
      for (const [mode, what] of [["0666", "file"], ["0755", "directory"]] as const) {
        const words = ["with", "good", "--", "sh", "-c", unsafe, "sh", mode, what]
        const outcome = yield* ended(place.start(words, place.env))
        assert.strictEqual(outcome.stdout, "counted\n")
        assert.match(outcome.stderr, /^warning: MCP_SESSIONS_SOCK is not used: .* can be opened by other users\n$/)
        chmodSync(join(place.env.XDG_RUNTIME_DIR ?? "", "mcp-sessions"), 0o700)
      }
      const env = { ...place.env, MCP_SESSIONS_SOCK: join(place.directory, "none.sock") }
      const alone = yield* ended(place.start(["--trust", "call", "good/count", "id=2"], env))
      assert.deepStrictEqual(alone, { status: 0, stdout: "counted\n", stderr: "" })
    }))

  it.live("reads stdin, and stops when its reader does", () =>
    Effect.gen(function*() {
      const place = yield* setting
      const script = `
        echo '{"message":"from stdin"}' | mcp-sessions call good/echo --args -
        mcp-sessions tools good --json | head -c 10 >/dev/null; echo "$?"`
      const outcome = yield* ended(place.start(["with", "good", "--", "sh", "-c", script], place.env))
      assert.deepStrictEqual(outcome, { status: 0, stdout: "from stdin\n0\n", stderr: "" })
    }))
})
