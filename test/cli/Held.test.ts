/**
 * Sessions that `up` holds, and the socket over which commands use them. `up` runs within this process; each test is its client.
 */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Result, type Scope } from "effect"
import { once } from "node:events"
import { lstatSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { createServer } from "node:net"
import { join } from "node:path"
import { chunkLimit, encode, frameLimit, kinds } from "../../packages/cli/src/internal/socket/frames.ts"
import { RemoteClient } from "../../packages/cli/src/internal/socket/remoteClient.ts"
import { fixture, isAlive, makeLedger, until } from "../fixtures/peer.ts"
import { type Outcome, type Workplace, workplace } from "./cli.ts"
import { type ClientOptions, heldAt, open, runAt, sendUntilClosed } from "./heldClient.ts"

const server = (file: string) => ({ command: process.execPath, args: [fixture("stdioServer.ts"), "v1", file] })

/** A server that writes many lines to stderr and exits at once. */
const brief = `
const { appendFileSync, writeSync } = require("node:fs")
appendFileSync(process.argv[1], "brief " + process.pid + "\\n")
for (let line = 0; line < 500; line++) writeSync(2, "line " + line + "\\n")
process.exit(3)
`

interface Setting extends Workplace {
  readonly socket: string
  readonly env: Record<string, string>
  readonly file: string
  readonly ledger: (word: string) => ReadonlyArray<string>
  readonly at: (
    words: ReadonlyArray<string>,
    options?: Partial<ClientOptions>
  ) => ReturnType<typeof runAt>
  /** The outcome of `up`, after it has ended. */
  readonly up: Fiber.Fiber<Outcome>
}

/** Runs `up` while a test runs. Of the servers `good` and `other`, both with a ledger, and `broken`, those named are held. */
const held = <A, E>(names: ReadonlyArray<string>, use: (setting: Setting) => Effect.Effect<A, E, Scope.Scope>) =>
  Effect.scoped(Effect.gen(function*() {
    const { file, read } = yield* makeLedger
    const place = yield* workplace
    const env = { XDG_RUNTIME_DIR: place.directory }
    place.write("mcp-sessions.json", {
      servers: {
        good: server(file),
        other: server(file),
        asking: { command: process.execPath, args: [fixture("stdioServer.ts"), "asking", file] },
        rich: { command: process.execPath, args: [fixture("richStdio.mjs"), file] },
        broken: { command: "no-such-command" },
        brief: { command: process.execPath, args: ["-e", brief, file] }
      }
    })
    const up = yield* Effect.forkScoped(place.run(["up", ...names, "--best-effort"], { env }), {
      startImmediately: true
    })
    const socket = yield* heldAt(place.directory, env)
    const at: Setting["at"] = (words, options) => runAt(socket, { directory: place.directory, words, ...options })
    return yield* use({ ...place, env, socket, at, up, file, ledger: read })
  }))

describe.concurrent("held sessions", () => {
  it.live("serve several commands with one connection", () =>
    held(["good"], ({ at, ledger }) =>
      Effect.gen(function*() {
        const calls = yield* Effect.forEach(["1", "2", "3"], (id) => at(["call", "good/count", `id=${id}`]), {
          concurrency: "unbounded"
        })
        assert.deepStrictEqual(calls, calls.map(() => ({ status: 0, stdout: "counted\n", stderr: "" })))
        assert.deepStrictEqual(ledger("count").toSorted(), ["1", "2", "3"])
        assert.strictEqual(ledger("process").length, 1)
        const failed = yield* at(["call", "good/fail", "--json"])
        assert.strictEqual(failed.status, 5)
        assert.strictEqual(JSON.parse(failed.stdout).isError, true)
        assert.include(failed.stderr, "ToolError")
        assert.include((yield* at(["tools", "good"])).stdout, "count")
        assert.strictEqual((yield* at(["check", "good"])).status, 0)
        assert.strictEqual(ledger("process").length, 1)
      })))

  it.live("serve the next command after a server has died during a call, and after a call has timed out", () =>
    held(["good"], ({ at, ledger }) =>
      Effect.gen(function*() {
        assert.strictEqual((yield* at(["call", "good/die", "id=1", "--no-validate"])).status, 12)
        assert.strictEqual((yield* at(["call", "good/count", "id=1"])).stdout, "counted\n")
        assert.strictEqual((yield* at(["call", "good/hang", "id=2", "--no-validate", "--timeout", "3s"])).status, 12)
        assert.strictEqual((yield* at(["call", "good/count", "id=2"])).stdout, "counted\n")
        // Nothing was sent again, and only the death took a new process.
        assert.deepStrictEqual([ledger("die"), ledger("hang"), ledger("count")], [["1"], ["2"], ["1", "2"]])
        assert.strictEqual(ledger("process").length, 2)
      })))

  it.live("ask the user of the command on whose behalf a server asks, and nobody else", () =>
    held(["rich"], ({ at, ledger }) =>
      Effect.gen(function*() {
        const asked = yield* at(["call", "rich/sample"], { lines: ["", "a reply", ""] })
        assert.deepStrictEqual(JSON.parse(asked.stdout).content, { type: "text", text: "a reply" })
        assert.include(asked.stderr, "rich asks for a message of a language model")
        const piped = yield* at(["call", "rich/page"])
        assert.deepStrictEqual(JSON.parse(piped.stdout), { action: "decline" })
        assert.include(piped.stderr, "no terminal")
        const form = yield* at(["call", "rich/form"], { lines: ["d"] })
        assert.deepStrictEqual(JSON.parse(form.stdout), { action: "decline" })
        assert.strictEqual(ledger("process").length, 1)
      })))

  it.live("take two questions at once to the commands whose calls they belong to, and decline one that may belong to either", () =>
    held(["asking"], ({ at, ledger }) =>
      Effect.gen(function*() {
        const asked = Deferred.makeUnsafe<void>()
        let release = () => {}
        const released = new Promise<undefined>((resolve) => {
          release = () => resolve(undefined)
        })
        /** Calls `ask`, and answers only when `released`. */
        const first = yield* Effect.forkScoped(at(["call", "asking/ask"], {
          lines: ["", "Ada"],
          onChunk: (text) => {
            if (!text.includes("asks: your name?")) return Promise.resolve(undefined)
            Deferred.doneUnsafe(asked, Effect.void)
            return released
          }
        }))
        yield* Deferred.await(asked)
        const second = yield* at(["call", "asking/ask-too"], { lines: ["", "Bob"] })
        assert.deepStrictEqual(JSON.parse(second.stdout), { action: "accept", content: { name: "Bob" } })
        const same = yield* at(["call", "asking/ask"], { lines: ["", "Eve"] })
        assert.deepStrictEqual(JSON.parse(same.stdout), { action: "decline" })
        assert.include(same.stderr, "asking asked for input, which was declined: several commands use the server")
        release()
        const { stdout } = yield* Fiber.join(first)
        assert.deepStrictEqual(JSON.parse(stdout), { action: "accept", content: { name: "Ada" } })
        assert.strictEqual(ledger("process").length, 1)
      })))

  it.live("keep what their servers log, for commands that come later", () =>
    held(["rich"], ({ at, ledger }) =>
      Effect.gen(function*() {
        assert.strictEqual((yield* at(["read", "rich", "note://1"])).status, 0)
        const { status, stdout } = yield* at(["logs", "rich"])
        assert.strictEqual(status, 0)
        for (const text of ["stderr starting", "stderr ready", "info rich: {\"at\":\"start\"}", "error a failure"]) {
          assert.include(stdout, text)
        }
        assert.notInclude((yield* at(["logs", "rich", "--mcp", "--level", "error"])).stdout, "start")
        assert.strictEqual(ledger("process").length, 1)
      })))

  it.live("are lent with what the user of `up` has answered", () =>
    Effect.scoped(Effect.gen(function*() {
      const { file } = yield* makeLedger
      const { directory, run, write } = yield* workplace
      const env = { XDG_RUNTIME_DIR: directory }
      write("mcp-sessions.json", { servers: { good: { ...server(file), env: { KEY: "${input:key}" } } } })
      yield* Effect.forkScoped(run(["up"], { env, typed: ["typed"] }), { startImmediately: true })
      const socket = yield* heldAt(directory, env)
      const call = yield* runAt(socket, { directory, words: ["call", "good/count", "id=1"] })
      assert.deepStrictEqual([call.status, call.stderr], [0, ""])
      const check = yield* runAt(socket, { directory, words: ["check", "--json"] })
      assert.deepStrictEqual([check.status, check.stderr], [0, ""])
    })))

  it.live("serve clients that name the same configuration in another way, and no others", () =>
    Effect.scoped(Effect.gen(function*() {
      const { file } = yield* makeLedger
      const { directory, run, write } = yield* workplace
      const env = { XDG_RUNTIME_DIR: directory, MCP_SESSIONS_CONFIG: "servers.json" }
      const path = write("servers.json", { servers: { good: server(file) } })
      mkdirSync(join(directory, "below"))
      yield* Effect.forkScoped(run(["up"], { env }), { startImmediately: true })
      const socket = yield* heldAt(directory, env)
      const at = (from: string, value: string) =>
        Effect.map(
          runAt(socket, {
            directory: from,
            words: ["tools", "good"],
            hello: { selection: { MCP_SESSIONS_CONFIG: value } }
          }),
          ({ status }) => status
        )
      const below = join(directory, "below")
      assert.strictEqual(yield* at(directory, path), 0)
      assert.strictEqual(yield* at(below, "../servers.json"), 0)
      assert.strictEqual(yield* at(below, "servers.json"), "declined")
    })))

  it.live("print all that a server wrote before its end to a reader that is slow", () =>
    held(["brief"], ({ at, ledger }) =>
      Effect.gen(function*() {
        const before = ledger("brief").length
        // The process that the command starts has ended before anything it wrote is read.
        const hasEnded = yield* Effect.forkScoped(until(
          () => ledger("brief"),
          (starts) => starts.length > before && !starts.some(isAlive)
        ))
        const { status, stdout } = yield* at(["logs", "brief", "--follow", "--json"], {
          onChunk: () => new Promise((resolve) => hasEnded.addObserver(() => resolve(undefined)))
        })
        assert.strictEqual(status, 4)
        const lines = stdout.trimEnd().split("\n").map((line) => JSON.parse(line).line)
        assert.deepStrictEqual(lines.slice(-500), Array.from({ length: 500 }, (_, index) => `line ${index}`))
      })))

  it.live("leave commands to their caller that name other servers, all servers or a configuration, before anything is printed", () =>
    held(["good"], ({ at, ledger }) =>
      Effect.gen(function*() {
        for (
          const words of [
            ["call", "other/count", "id=1"],
            ["call", "unknown/count"],
            ["tools"],
            ["check", "good", "other"],
            ["tools", "good", "--config", "mcp-sessions.json"],
            ["tools", "good", "--no-such-flag"]
          ]
        ) {
          assert.deepStrictEqual(yield* at(words), { status: "declined", stdout: "", stderr: "" })
        }
        const selection = { MCP_SESSIONS_CONFIG: "other.json" }
        assert.strictEqual((yield* at(["tools", "good"], { hello: { selection } })).status, "declined")
        // From here on the command belongs to the holder: it may have read its input.
        assert.strictEqual((yield* at(["call", "good"])).status, 2)
        assert.strictEqual((yield* at(["call", "good/echo", "no-value"])).status, 2)
        assert.deepStrictEqual(ledger("count"), [])
      })))

  it.live("are not used after the configuration has changed, but can still be looked at and released", () =>
    held(["good"], ({ at, file, socket, directory, write }) =>
      Effect.gen(function*() {
        write("mcp-sessions.json", { servers: { good: server(file) } })
        const declined = open(socket, { words: ["call", "good/count", "id=1"], directory })
        assert.strictEqual((yield* Effect.promise(() => declined.ended)).status, "declined")
        const [, payload] = declined.frames.at(-1) ?? assert.fail("no frame arrived")
        assert.include(JSON.parse(payload.toString()).warning, "the configuration has changed")
        assert.strictEqual((yield* at(["status"])).status, 0)
        assert.strictEqual((yield* at(["down"])).status, 0)
      })))

  it.live("are not used after another client has got a configuration file with a server", () =>
    held(["good"], ({ directory, socket, write }) =>
      Effect.gen(function*() {
        mkdirSync(join(directory, ".cursor"))
        write(".cursor/mcp.json", { mcpServers: { found: { url: "https://found/" } } })
        const declined = open(socket, { words: ["tools", "good"], directory })
        assert.strictEqual((yield* Effect.promise(() => declined.ended)).status, "declined")
        const [, payload] = declined.frames.at(-1) ?? assert.fail("no frame arrived")
        assert.include(JSON.parse(payload.toString()).warning, `was started in ${directory}`)
      })))

  it.live("are not used in a directory below that has servers of its own, however its file is called", () =>
    held(["good"], ({ at, directory, write }) =>
      Effect.gen(function*() {
        mkdirSync(join(directory, "below/deep/.cursor"), { recursive: true })
        mkdirSync(join(directory, ".git"))
        const deep = { directory: join(directory, "below/deep") }
        const status = Effect.map(at(["tools", "good"], deep), ({ status }) => status)
        assert.strictEqual(yield* status, 0)
        for (const name of ["below/mcp-sessions.json", "below/deep/.cursor/mcp.json"]) {
          write(name, { mcpServers: { good: { url: "https://nearer/" } } })
          assert.strictEqual(yield* status, "declined")
          assert.strictEqual((yield* at(["tools", "good"])).status, 0)
          write(name, "not JSON")
          assert.strictEqual(yield* status, "declined")
          write(name, { mcpServers: {} })
          assert.strictEqual(yield* status, 0)
        }
        const local = { projects: { [deep.directory]: { mcpServers: { good: { url: "https://local/" } } } } }
        write(".claude.json", local)
        assert.strictEqual(yield* status, "declined")
        assert.strictEqual((yield* at(["status"], deep)).status, 0)
      })))

  it.live("stay in use while programs write settings into their files that change no server", () =>
    held(["good"], ({ at, directory, write }) =>
      Effect.gen(function*() {
        for (const history of [[], ["a"], ["a", "b"]]) {
          write(".claude.json", { history })
          assert.strictEqual((yield* at(["tools", "good"])).status, 0)
        }
        write("mcp-sessions.json", `// a comment\n${readFileSync(join(directory, "mcp-sessions.json"), "utf8")}`)
        assert.strictEqual((yield* at(["tools", "good"])).status, 0)
        write(".claude.json", { history: [], mcpServers: { found: { url: "https://found/" } } })
        assert.strictEqual((yield* at(["tools", "good"])).status, "declined")
        write(".claude.json", { history: [] })
        assert.strictEqual((yield* at(["tools", "good"])).status, 0)
      })))

  it.live("are released by `down`, which waits for the end of the servers", () =>
    held(["good"], ({ at, directory, ledger, up }) =>
      Effect.gen(function*() {
        const down = yield* at(["down"])
        assert.deepStrictEqual(down, { status: 0, stdout: "", stderr: "released good\n" })
        assert.deepStrictEqual(ledger("process").filter(isAlive), [])
        const outcome = yield* Fiber.join(up)
        assert.strictEqual(outcome.status, 0)
        assert.match(outcome.stdout, /^holding 1 session for .*: good\nsocket: .*\.sock\n$/)
        assert.deepStrictEqual(readdirSync(join(directory, "mcp-sessions")), [])
      })))

  it.live("have a status with the state of each server, and exit 13 if one is unhealthy", () =>
    held(["good", "broken"], ({ at }) =>
      Effect.gen(function*() {
        yield* at(["call", "good/count", "id=1"])
        const { status, stdout } = yield* at(["status", "--json"])
        assert.strictEqual(status, 13)
        const { holder, schema, servers: [good, broken] } = JSON.parse(stdout)
        assert.strictEqual(schema, "mcp-sessions/1")
        assert.deepInclude(holder, { command: "up", pid: process.pid })
        assert.deepInclude(good, {
          name: "good",
          state: "ready",
          isHealthy: true,
          errorCount: 0,
          lastError: null,
          circuit: "closed",
          inFlight: 0,
          restarts: 0
        })
        assert.strictEqual(good.staleAfter - good.lastChecked, 5 * 60_000)
        assert.isAtLeast(good.uptimeMs, 0)
        assert.deepInclude(broken, { name: "broken", isHealthy: false, uptimeMs: null })
        assert.strictEqual(broken.lastError.code, "SpawnFailed")
        assert.strictEqual((yield* at(["status", "--allow", "broken"])).status, 0)
        const table = yield* at(["status", "good"])
        assert.strictEqual(table.status, 0)
        assert.match(table.stdout, /✓ +good +ready/)
        assert.notInclude(table.stdout, "broken")
        const other = yield* at(["status", "other"])
        assert.strictEqual(other.status, 2)
        assert.include(other.stderr, "no session of server \"other\" is held")
      })))

  it.live("are connected anew by `restart`", () =>
    held(["good"], ({ at, ledger }) =>
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* at(["restart", "good"]), { status: 0, stdout: "", stderr: "restarted good\n" })
        const [first, second] = ledger("process")
        assert.deepStrictEqual([first, second].map((pid) => isAlive(pid ?? "")), [false, true])
        const { servers: [good] } = JSON.parse((yield* at(["status", "--json"])).stdout)
        assert.strictEqual(good.restarts, 1)
      })))

  it.live("belong to one holder for each directory", () =>
    held(["good"], ({ env, run, socket }) =>
      Effect.gen(function*() {
        const second = yield* run(["up", "good"], { env })
        assert.strictEqual(second.status, 2)
        assert.include(second.stderr, "the sessions of this project are already held")
        assert.include(second.stderr, socket)
      })))

  it.live("end when no command ran for the idle time", () =>
    Effect.scoped(Effect.gen(function*() {
      const { file, read } = yield* makeLedger
      const { directory, run, write } = yield* workplace
      write("mcp-sessions.json", { servers: { good: server(file) } })
      const outcome = yield* run(["up", "--idle", "100ms"], { env: { XDG_RUNTIME_DIR: directory } })
      assert.strictEqual(outcome.status, 0)
      assert.strictEqual(read("process").length, 1)
      assert.deepStrictEqual(read("process").filter(isAlive), [])
    })))

  it.live("are not opened in part: all servers that fail are reported", () =>
    Effect.scoped(Effect.gen(function*() {
      const { file, read } = yield* makeLedger
      const { directory, run, write } = yield* workplace
      const absent = { command: "no-such-command" }
      write("mcp-sessions.json", { servers: { good: server(file), one: absent, two: absent } })
      const env = { XDG_RUNTIME_DIR: directory }
      const { status, stderr } = yield* run(["up"], { env })
      assert.strictEqual(status, 4)
      assert.match(stderr, /error\[SpawnFailed\].*one/)
      assert.match(stderr, /error\[SpawnFailed\].*two/)
      assert.deepStrictEqual(read("process").filter(isAlive), [])
      const json = yield* run(["up", "--json"], { env })
      const { error } = JSON.parse(json.stderr.trimEnd().split("\n").at(-1) ?? "")
      assert.strictEqual(error.code, "OpenFailed")
      assert.deepStrictEqual(error.errors.map(({ server }: { readonly server: string }) => server).toSorted(), [
        "one",
        "two"
      ])
    })))

  it.live("replace the socket of a holder that was killed, and use no directory of others", () =>
    Effect.scoped(Effect.gen(function*() {
      const place = yield* workplace
      const { file } = yield* makeLedger
      place.write("mcp-sessions.json", { servers: { good: server(file) } })
      const env = { XDG_RUNTIME_DIR: place.directory }
      const start = Effect.forkScoped(place.run(["up"], { env }), { startImmediately: true })
      const first = yield* start
      const socket = yield* heldAt(place.directory, env)
      assert.strictEqual(lstatSync(socket).mode & 0o777, 0o600)
      assert.strictEqual(lstatSync(join(place.directory, "mcp-sessions")).mode & 0o777, 0o700)
      yield* Fiber.interrupt(first)
      // A killed process leaves its socket behind. A file is just as dead.
      writeFileSync(socket, "")
      yield* start
      assert.strictEqual(yield* heldAt(place.directory, env), socket)
    })))
})

describe.concurrent("the socket of held sessions", () => {
  it.live("survives random bytes, oversized frames, half frames and frames out of order", () =>
    held(["good"], ({ at, socket }) =>
      Effect.gen(function*() {
        let seed = 1
        const random = () => (seed = (seed * 48271) % 0x7fffffff) % 256
        for (let round = 0; round < 20; round++) {
          const bytes = Buffer.from(Array.from({ length: 200 }, random))
          // A length of at most 1 MiB could be the beginning of a frame.
          bytes[0] = 0xff
          yield* sendUntilClosed(socket, bytes)
        }
        const oversized = Buffer.alloc(5)
        oversized.writeUInt32BE(frameLimit + 1)
        oversized.writeUInt8(kinds.hello, 4)
        yield* sendUntilClosed(socket, oversized)
        yield* sendUntilClosed(socket, encode(kinds.start, {}))
        yield* sendUntilClosed(socket, encode(kinds.hello, Buffer.from("[1]")))
        const half = open(socket, { words: ["status"], directory: "/" })
        half.socket.destroy()
        yield* Effect.promise(() => half.ended)
        const { send, ended } = open(socket, { words: ["call", "good/hang", "id=1"], directory: "/" })
        send(kinds.written, { stream: "stdout" })
        assert.strictEqual((yield* Effect.promise(() => ended)).status, "closed")
        assert.strictEqual((yield* at(["call", "good/count", "id=2"])).status, 0)
      })))

  it.live("refuses clients of another version", () =>
    held(["good"], ({ at }) =>
      Effect.gen(function*() {
        const outcome = yield* at(["tools", "good"], { hello: { version: 99 } })
        assert.strictEqual(outcome.status, "refused")
        assert.include(outcome.message, "the sessions are held by mcp-sessions 0.1.0")
      })))

  it.live("waits for a slow reader between chunks, and loses nothing", () =>
    held(["good"], ({ at }) =>
      Effect.gen(function*() {
        const text = "0123456789".repeat(30_000)
        let unread = 0
        let most = 0
        const { status, stdout } = yield* at(["call", "good/echo", "--args", "-"], {
          input: [`{"message":`, `"${text}"}`],
          onChunk: async () => {
            most = Math.max(most, ++unread)
            await new Promise((resolve) => setImmediate(resolve))
            unread--
            return undefined
          }
        })
        assert.strictEqual(status, 0)
        assert.strictEqual(stdout, `${text}\n`)
        assert.isAbove(text.length, 4 * chunkLimit)
        assert.strictEqual(most, 1)
      })))

  it.live("ends a command quietly whose reader has closed the pipe", () =>
    held(["good"], ({ at }) =>
      Effect.gen(function*() {
        const { status, stderr } = yield* at(["call", "good/echo", "message=hi"], {
          onChunk: () => Promise.resolve("EPIPE")
        })
        assert.deepStrictEqual({ status, stderr }, { status: 0, stderr: "" })
        const full = yield* at(["call", "good/echo", "message=hi"], { onChunk: () => Promise.resolve("ENOSPC") })
        assert.strictEqual(full.status, 1)
        assert.include(full.stderr, "ENOSPC")
      })))

  it.live("bounds what it reads of stdin", () =>
    Effect.gen(function*() {
      const { directory } = yield* workplace
      const path = join(directory, "socket")
      const read = Deferred.makeUnsafe<Result.Result<string, string>>()
      const fork = Effect.runForkWith(yield* Effect.context())
      const server = createServer((socket) => {
        const client = new RemoteClient(socket)
        const reading = Effect.flatMap(client.hello, ({ hello }) => {
          client.send(kinds.accept, {})
          return hello === undefined ? Effect.die("no hello") : client.input(hello).readAll(1024 ** 2)
        })
        fork(Effect.andThen(Deferred.complete(read, Effect.result(reading)), Effect.sync(() => client.end())))
      })
      yield* Effect.promise(() => once(server.listen(path), "listening"))
      yield* runAt(path, { words: [], directory, input: ["x".repeat(1024 ** 2), "y", "z"] })
      assert.deepStrictEqual(
        yield* Deferred.await(read),
        Result.fail("standard input: expected at most 1 MiB")
      )
      server.close()
    }).pipe(Effect.scoped))

  it.live("cancels the call of a client that asks for it, and of one that is gone", () =>
    held(["good"], ({ directory, ledger, socket }) =>
      Effect.gen(function*() {
        const asking = open(socket, { words: ["call", "good/hang", "id=1"], directory })
        yield* until(() => ledger("hang"), (lines) => lines.includes("1"))
        asking.send(kinds.cancel, {})
        assert.strictEqual((yield* Effect.promise(() => asking.ended)).status, 130)
        yield* until(() => ledger("cancelled"), (lines) => lines.includes("1"))
        const gone = open(socket, { words: ["call", "good/hang", "id=2"], directory })
        yield* until(() => ledger("hang"), (lines) => lines.includes("2"))
        gone.socket.destroy()
        yield* until(() => ledger("cancelled"), (lines) => lines.includes("2"))
        assert.strictEqual(ledger("process").length, 1)
      })))

  it.live("cuts off the calls in flight when the sessions are released", () =>
    held(["good"], ({ at, directory, ledger, socket }) =>
      Effect.gen(function*() {
        const hanging = open(socket, { words: ["call", "good/hang", "id=1"], directory })
        yield* until(() => ledger("hang"), (lines) => lines.includes("1"))
        assert.strictEqual((yield* at(["down"])).status, 0)
        assert.strictEqual((yield* Effect.promise(() => hanging.ended)).status, "closed")
        assert.deepStrictEqual(ledger("process").filter(isAlive), [])
      })))
})
