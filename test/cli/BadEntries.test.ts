/**
 * Commands that are given several servers, some of which cannot be used.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { existsSync, mkdirSync } from "node:fs"
import { join } from "node:path"
import { fixture, isAlive, until } from "../fixtures/peer.ts"
import { inWorkplace } from "./cli.ts"
import { heldAt } from "./heldClient.ts"

const good = (file: string) => ({ command: process.execPath, args: [fixture("stdioServer.ts"), "v1", file] })

/** A good server, and one for each way in which an entry can be bad. */
const servers = (file: string) => ({
  good: good(file),
  invalid: { command: "x", connectTimeout: 0 },
  unset: { command: "x", args: ["${NO_SUCH_VARIABLE}"] },
  off: { ...good(file), disabled: true }
})

/** Name, state and problem of each row that `check --json` printed. */
const rowsOf = (stdout: string) =>
  JSON.parse(stdout).servers.map(({ lastError, name, state }: {
    readonly name: string
    readonly state: string
    readonly lastError: { readonly problems: ReadonlyArray<{ readonly code: string }> } | null
  }) => [name, state, lastError?.problems[0]?.code])

const bad = ["invalid", "unset", "off"]

describe.concurrent("one bad entry of several", () => {
  it.live("is a row of check with its problem, and the others are checked", () =>
    inWorkplace(({ run, write }, file) =>
      Effect.gen(function*() {
        write("mcp-sessions.json", { servers: servers(file) })
        const { status, stderr, stdout } = yield* run(["check", ...bad, "good", "--json"])
        assert.strictEqual(status, 13)
        assert.deepStrictEqual(
          rowsOf(stdout),
          [
            ["invalid", "unhealthy", "InvalidDuration"],
            ["unset", "unhealthy", "MissingVariable"],
            ["off", "disabled", "DisabledServer"],
            ["good", "healthy", undefined]
          ]
        )
        assert.deepStrictEqual(JSON.parse(stderr).error.servers, bad)
        const human = yield* run(["check", "good", "unset"])
        assert.strictEqual(human.status, 13)
        assert.match(human.stdout, /^✓ {2}good /m)
        assert.match(human.stdout, /^✗ {2}unset +stdio +MissingVariable/m)
        assert.include(human.stdout, "1 of 2 healthy")
        assert.strictEqual((yield* run(["check", "good", "unset", "--allow", "unset"])).status, 0)
      })
    ))

  it.live("is a row of check also if its file is not trusted", () =>
    inWorkplace(({ directory, run, write }, file) =>
      Effect.gen(function*() {
        mkdirSync(join(directory, "home"))
        write("home/.claude.json", { mcpServers: { good: good(file) } })
        write(".mcp.json", { mcpServers: { unread: { command: "x" } } })
        // A flag in front: no file is trusted.
        const words = ["--json", "check", "good", "unread"]
        const { status, stdout } = yield* run(words, { env: { HOME: join(directory, "home") } })
        assert.strictEqual(status, 13)
        assert.deepStrictEqual(
          rowsOf(stdout),
          [["good", "healthy", undefined], ["unread", "unhealthy", "UntrustedFile"]]
        )
      })
    ))

  it.live("ends a command with its problems if no other server is named", () =>
    inWorkplace(({ run, write }, file, read) =>
      Effect.gen(function*() {
        write("mcp-sessions.json", { servers: servers(file) })
        for (
          const words of [
            ["check", "invalid", "unset"],
            ["check", "--watch", "invalid", "unset"],
            ["up", "--best-effort", "invalid", "unset"],
            ["with", "--best-effort", "invalid", "unset", "--", "true"],
            ["shell", "invalid", "unset"],
            ["serve", "invalid", "unset"]
          ]
        ) {
          const { status, stderr } = yield* run(words)
          assert.strictEqual(status, 10, words.join(" "))
          assert.include(stderr, "\"connectTimeout\" must be")
          assert.include(stderr, "NO_SUCH_VARIABLE")
        }
        assert.deepStrictEqual(read("process"), [])
      })
    ))

  it.live("keeps up, with and emit-ts from starting anything without --best-effort", () =>
    inWorkplace(({ directory, run, write }, file, read) =>
      Effect.gen(function*() {
        write("mcp-sessions.json", { servers: servers(file) })
        const env = { XDG_RUNTIME_DIR: directory }
        for (const name of bad) {
          for (const words of [["up", "good", name], ["with", "good", name, "--", "true"], ["emit-ts", "good", name]]) {
            const { status, stderr, stdout } = yield* run(words, { env })
            assert.deepStrictEqual([status, stdout], [name === "off" ? 2 : 10, ""], words.join(" "))
            assert.include(stderr, name)
          }
        }
        assert.deepStrictEqual(read("process"), [])
      })
    ))

  it.live("is reported by up before it looks for a place for its socket", () =>
    inWorkplace(({ directory, run, write }, file) =>
      Effect.gen(function*() {
        write("mcp-sessions.json", { servers: servers(file) })
        const env = { XDG_RUNTIME_DIR: directory }
        const holding = yield* Effect.forkScoped(run(["up", "good"], { env }), { startImmediately: true })
        yield* heldAt(directory, env)
        const { status, stderr } = yield* run(["up", "good", "unset"], { env })
        assert.strictEqual(status, 10)
        assert.include(stderr, "NO_SUCH_VARIABLE")
        yield* Fiber.interrupt(holding)
      })
    ))

  it.live("is noted by up and with under --best-effort, and the others are held", () =>
    inWorkplace(({ directory, run, write }, file, read) =>
      Effect.gen(function*() {
        write("mcp-sessions.json", { servers: servers(file) })
        const env = { XDG_RUNTIME_DIR: directory }
        const ran = yield* run(["with", "--best-effort", ["good", ...bad].join(","), "--", "touch", "ran"], { env })
        assert.strictEqual(ran.status, 0)
        for (const problem of ["\"connectTimeout\" must be", "NO_SUCH_VARIABLE", "\"off\" is disabled"]) {
          assert.include(ran.stderr, problem)
        }
        assert.isTrue(existsSync(join(directory, "ran")))

        const isHolding = (stdout: string) => stdout.includes("socket: ")
        const up = yield* run(["up", "--best-effort", "good", ...bad], { env, until: isHolding })
        assert.match(up.stdout, /^holding 1 session for .*: good$/m)
        assert.include(up.stderr, "NO_SUCH_VARIABLE")
        assert.strictEqual(read("process").length, 2)
        yield* until(() => read("process").filter(isAlive), (alive) => alive.length === 0)
      })
    ))

  it.live("does not keep serve from serving the others, nor the shell from holding them", () =>
    inWorkplace(({ run, write }, file, read) =>
      Effect.gen(function*() {
        write("mcp-sessions.json", { servers: servers(file) })
        const served = yield* run(["serve", "good", "unset"], {
          until: (_, stderr) => stderr.includes("serving good;")
        })
        assert.include(served.stderr, "NO_SUCH_VARIABLE")
        const input = "call good/count id=1\ncheck good invalid\n"
        const shell = yield* run(["shell", "good", "invalid"], { input })
        assert.strictEqual(shell.status, 13)
        assert.match(shell.stdout, /^counted\n[^]*1 of 2 healthy/)
        // One process for the endpoint that was served at most, and one for both commands of the shell.
        assert.isAtMost(read("process").length, 2)
      })
    ))
})
