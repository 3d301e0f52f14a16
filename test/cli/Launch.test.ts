/**
 * Processes of calls that are started before the program is loaded. Arguments that are no JSON keep the ordinary call from starting anything, so
 * a process that runs then was started early.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema, type Scope } from "effect"
import { spawn } from "node:child_process"
import {
  chmodSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync
} from "node:fs"
import { dirname, join } from "node:path"
import { type CallWords, callWordsOf } from "../../packages/cli/src/internal/launch/callWords.ts"
import { isPrivate } from "../../packages/cli/src/internal/launch/facts.ts"
import { type Launch, launchOf, sourceOf } from "../../packages/cli/src/internal/launch/memo.ts"
import { MemoStore } from "../../packages/cli/src/internal/launch/memoStore.ts"
import { descendants, fixture, isAlive, makeLedger, until } from "../fixtures/peer.ts"
import { bin, ended, type Outcome, type Workplace, workplace } from "./cli.ts"

interface Place extends Workplace {
  readonly env: Record<string, string>
  /** The directory of the memos. */
  readonly launches: string
  /** The script that notes its start and then runs a server. */
  readonly server: string
  /** The process ids of the starts so far. */
  readonly starts: () => ReadonlyArray<string>
  /** Runs a command of the published bundle to its end. */
  readonly command: (words: ReadonlyArray<string>, env?: Record<string, string>) => Effect.Effect<Outcome>
  /** Calls a tool, which succeeds. */
  readonly call: (env?: Record<string, string>) => Effect.Effect<void>
  /** Runs a call that starts its process early or not at all. */
  readonly badCall: (env?: Record<string, string>) => Effect.Effect<void>
}

/** A working directory with caches and settings of its own, and a server whose starts are noted. */
const makePlace: Effect.Effect<Place, never, Scope.Scope> = Effect.gen(function*() {
  const place = yield* workplace
  const { file, read } = yield* makeLedger
  const { directory, start, write } = place
  const server = write(
    "server.sh",
    `#!/bin/sh\necho start $$ >> ${file}\nexec ${process.execPath} ${fixture("richStdio.mjs")}\n`
  )
  chmodSync(server, 0o755)
  // A socket of nobody keeps the helper from trusting all files.
  const env = { MCP_SESSIONS_SOCK: "", XDG_CACHE_HOME: join(directory, "cache") }
  const command: Place["command"] = (words, more) => ended(start(words, { ...env, ...more }))
  return {
    ...place,
    env,
    server,
    launches: join(directory, "cache/mcp-sessions/launches"),
    starts: () => read("start"),
    command,
    call: (more) =>
      Effect.map(command(["call", "good/echo", "message=hi"], more), (outcome) => {
        assert.deepStrictEqual(outcome, { status: 0, stdout: "hi\n", stderr: "" })
      }),
    badCall: (more) =>
      Effect.map(command(["call", "good/echo", "--args", "{"], more), ({ status, stdout }) => {
        assert.deepStrictEqual({ status, stdout }, { status: 2, stdout: "" })
      })
  }
})

const trust = ({ command }: Place) => Effect.asVoid(command(["config", "trust"]))

/** Writes the definition of the server into the file of the project, and trusts it. */
const define = (place: Place, definition: object = {}) => {
  place.write(".mcp.json", { mcpServers: { good: { command: place.server, args: ["stdio"], ...definition } } })
  return trust(place)
}

const memosOf = ({ launches }: Place) => readdirSync(launches).filter((name) => name !== "key")

const memoOf = (place: Place): string => {
  const [name = assert.fail("there is no memo"), ...more] = memosOf(place)
  assert.deepStrictEqual(more, [])
  return join(place.launches, name)
}

const inPlace = <A, E>(use: (place: Place) => Effect.Effect<A, E, Scope.Scope>) =>
  Effect.scoped(Effect.flatMap(makePlace, use))

/** Waits until all processes have ended. */
const allEnded = ({ starts }: Place) => until(() => starts().filter(isAlive), (alive) => alive.length === 0)

describe("the process of a call", () => {
  it.live("is started early once the same has succeeded, and ends with a call that fails before it needs one", () =>
    inPlace((place) =>
      Effect.gen(function*() {
        yield* define(place)
        yield* place.badCall()
        assert.lengthOf(place.starts(), 0)
        yield* place.call()
        assert.lengthOf(place.starts(), 1)
        yield* place.badCall()
        assert.lengthOf(place.starts(), 2)
        yield* allEnded(place)
      })
    ))

  it.live("is the one that was started early, if that is what the call would start", () =>
    inPlace((place) =>
      Effect.gen(function*() {
        yield* define(place)
        yield* place.call()
        yield* place.call()
        assert.lengthOf(place.starts(), 2)
        yield* allEnded(place)
      })
    ))

  it.live("is started early for a command after --, without any earlier call", () =>
    inPlace((place) =>
      Effect.gen(function*() {
        const { status } = yield* place.command(["call", "echo", "--args", "{", "--", place.server])
        assert.strictEqual(status, 2)
        assert.lengthOf(place.starts(), 1)
        yield* allEnded(place)
      })
    ))

  it.live("is another one than a memo of this user starts, if the configuration says so; the first one ends", () =>
    inPlace((place) =>
      Effect.gen(function*() {
        yield* define(place, { args: ["stdio", "other"] })
        yield* place.call()
        const name = memosOf(place)[0] ?? ""
        const store = MemoStore.open(place.launches) ?? assert.fail("there is no store")
        const { memo } = store.read(name) ?? assert.fail("the memo cannot be read")
        const [first = assert.fail("there are no arguments")] = memo.launch.args
        store.write(name, { ...memo, launch: { ...memo.launch, args: [first] } })
        yield* place.call()
        assert.lengthOf(place.starts(), 3)
        yield* allEnded(place)
        // The memo was replaced.
        yield* place.call()
        assert.lengthOf(place.starts(), 4)
      })
    ))

  for (const signal of ["SIGINT", "SIGKILL"] as const) {
    it.live(`ends when the command gets ${signal} before the server has answered`, () =>
      inPlace((place) =>
        Effect.gen(function*() {
          yield* define(place)
          yield* place.call()
          // The same script as before, with a server that answers nothing and reads nothing.
          writeFileSync(place.server, readFileSync(place.server, "utf8").replace(/exec .*/, "exec sleep 1000"))
          const child = place.start(["call", "good/echo", "message=hi"], place.env)
          const outcome = ended(child)
          yield* until(place.starts, ({ length }) => length === 2)
          // The command, the server and its watchdog.
          yield* until(() => descendants(place.directory), ({ length }) => length === 3)
          child.kill(signal)
          assert.strictEqual((yield* outcome).status, signal === "SIGINT" ? 130 : null)
          yield* allEnded(place)
        })
      ))
  }
})

/** What keeps the process from being started early, after a call that succeeded. */
const changes: ReadonlyArray<
  readonly [
    title: string,
    change: (place: Place) => Effect.Effect<void> | Record<string, string> | void
  ]
> = [
  ["the file has other arguments", (place) => define(place, { args: ["stdio", "other"] })],
  ["the file has a space more", ({ directory }) => {
    const path = join(directory, ".mcp.json")
    writeFileSync(path, `${readFileSync(path, "utf8")} `)
  }],
  ["the definition is disabled", (place) => define(place, { disabled: true })],
  ["the file is gone", ({ directory }) => rmSync(join(directory, ".mcp.json"))],
  ["a file with servers has appeared", ({ write }) => {
    write("mcp-sessions.json", { servers: {} })
  }],
  ["a directory of version control has appeared", ({ directory }) => mkdirSync(join(directory, ".git"))],
  ["the user trusts the file no more", ({ directory }) => rmSync(join(directory, ".config"), { recursive: true })],
  [
    "others may write the records of trust",
    ({ directory }) => chmodSync(join(directory, ".config/mcp-sessions/trusted"), 0o777)
  ],
  ["a variable of the definition has another value", () => ({ SERVER_MODE: "other" })],
  ["a variable of the definition is unset", () => ({ SERVER_MODE: "" })],
  ["a variable names other files", () => ({ MCP_SESSIONS_CONFIG: "none.json" })],
  ["the home directory is another one", ({ directory }) => ({ HOME: join(directory, "cache") })],
  ["it is turned off", () => ({ MCP_SESSIONS_EARLY_START: "0" })],
  ["the memo has another content", (place) => {
    const memo = memoOf(place)
    writeFileSync(memo, readFileSync(memo, "utf8").replace("\"missing\"", "\"absent\""))
  }],
  ["the memo has another name", (place) => renameSync(memoOf(place), join(place.launches, "0".repeat(64)))],
  ["the memo can be written by others", (place) => chmodSync(memoOf(place), 0o666)],
  ["the memo is a link", (place) => {
    const memo = memoOf(place)
    renameSync(memo, join(place.directory, "memo"))
    symlinkSync(join(place.directory, "memo"), memo)
  }],
  ["the key is another one", ({ launches }) => writeFileSync(join(launches, "key"), "0".repeat(64))],
  ["the key can be read by others", ({ launches }) => chmodSync(join(launches, "key"), 0o644)],
  ["the directory of the memos can be read by others", ({ launches }) => chmodSync(launches, 0o755)],
  ["the directory of the memos is a link", ({ directory, launches }) => {
    renameSync(launches, join(directory, "launches"))
    symlinkSync(join(directory, "launches"), launches)
  }]
]

describe("a process is started early", () => {
  it.live("if nothing has changed", () =>
    inPlace((place) =>
      Effect.gen(function*() {
        const env = { SERVER_MODE: "stdio" }
        yield* define(place, { args: ["${SERVER_MODE}"] })
        yield* place.call(env)
        yield* place.badCall(env)
        assert.lengthOf(place.starts(), 2)
      })
    ))

  for (const [title, change] of changes) {
    it.live(`but not if ${title}`, () =>
      inPlace((place) =>
        Effect.gen(function*() {
          const env = { SERVER_MODE: "stdio" }
          yield* define(place, { args: ["${SERVER_MODE}"] })
          yield* place.call(env)
          memoOf(place)
          const changed = change(place)
          if (Effect.isEffect(changed)) yield* changed
          const more = Effect.isEffect(changed) || changed === undefined ? {} : changed
          yield* Effect.asVoid(place.command(["call", "good/echo", "--args", "{"], { ...env, ...more }))
          assert.lengthOf(place.starts(), 1)
        })
      ))
  }

  it.live("but not if the working directory is another one", () =>
    inPlace((place) =>
      Effect.gen(function*() {
        yield* define(place)
        const file = join(place.directory, ".mcp.json")
        const words = ["--config", file, "call", "good/echo"]
        assert.strictEqual((yield* place.command([...words, "message=hi"])).status, 0)
        memoOf(place)
        mkdirSync(join(place.directory, "below"))
        const { status } = yield* ended(startIn(place, join(place.directory, "below"), [...words, "--args", "{"]))
        assert.strictEqual(status, 2)
        assert.lengthOf(place.starts(), 1)
      })
    ))

  it.live("but not if the program has another version", () =>
    inPlace((place) =>
      Effect.gen(function*() {
        yield* define(place)
        yield* place.call()
        const other = join(place.directory, "bundle")
        cpSync(dirname(bin), other, { recursive: true })
        for (const name of readdirSync(other).filter((name) => name.startsWith("version-"))) {
          const path = join(other, name)
          writeFileSync(path, readFileSync(path, "utf8").replaceAll(/\d+\.\d+\.\d+/g, "99.0.0"))
        }
        writeFileSync(join(other, "package.json"), JSON.stringify({ type: "module" }))
        const words = ["call", "good/echo", "--args", "{"]
        const { status } = yield* ended(startIn(place, place.directory, words, join(other, "bin.js")))
        assert.strictEqual(status, 2)
        assert.lengthOf(place.starts(), 1)
      })
    ))

  it.live("but not for a flag that changes what a call does", () =>
    inPlace((place) =>
      Effect.gen(function*() {
        yield* define(place)
        yield* place.call()
        for (const flag of ["--dry-run", "--no-validate", "--no-input", "--trust", "--help"]) {
          yield* place.command(["call", "good/echo", "--args", "{", flag])
        }
        assert.lengthOf(place.starts(), 1)
      })
    ))
})

/** Starts a program of the bundle in a directory. */
const startIn = (
  ...[place, directory, words, program = bin]: readonly [Place, string, ReadonlyArray<string>, string?]
) =>
  spawn(process.execPath, [program, ...words], {
    cwd: directory,
    env: { PATH: process.env.PATH ?? "", HOME: place.directory, ...place.env },
    stdio: ["ignore", "pipe", "pipe"]
  })

describe("the memo of a call", () => {
  it.live("is private, and holds neither values of variables nor texts of definitions", () =>
    inPlace((place) =>
      Effect.gen(function*() {
        const secret = "s3cr3t-of-the-environment"
        const literal = "s3cr3t-of-the-file"
        yield* define(place, { args: ["stdio", literal], env: { API_KEY: "${API_KEY}", OTHER_KEY: literal } })
        yield* place.call({ API_KEY: secret })
        assert.strictEqual(statSync(place.launches).mode & 0o777, 0o700)
        assert.strictEqual(statSync(memoOf(place)).mode & 0o777, 0o600)
        const texts = readdirSync(place.launches).map((name) => readFileSync(join(place.launches, name), "utf8"))
        for (const text of texts) {
          for (const hidden of [secret, literal, place.server]) assert.notInclude(text, hidden)
        }
        yield* place.badCall({ API_KEY: secret })
        assert.lengthOf(place.starts(), 2)
        yield* place.badCall({ API_KEY: "another" })
        assert.lengthOf(place.starts(), 2)
      })
    ))

  it.live("says that a server is of the legacy era, for a day, and is corrected by the server", () =>
    inPlace((place) =>
      Effect.gen(function*() {
        const { file, read } = yield* makeLedger
        const behave = (behaviour: object) => writeFileSync(`${file}.behaviour`, JSON.stringify(behaviour))
        let seen = 0
        /** Calls the tool, and returns the messages of the handshake. */
        const greetings = Effect.map(Effect.suspend(() => place.command(["call", "good/echo"])), (outcome) => {
          assert.deepStrictEqual(outcome, { status: 0, stdout: "echo\n", stderr: "" })
          const messages = read("message").slice(seen).filter((method) => /discover$|initialize$/.test(method))
          seen = read("message").length
          return messages
        })
        const both = ["server/discover", "initialize"]
        yield* define(place, { command: process.execPath, args: [fixture("eraServer.ts"), file] })
        behave({ discover: "unknown", initialize: "legacy" })
        assert.deepStrictEqual(yield* greetings, both)
        assert.deepStrictEqual(yield* greetings, ["initialize"])
        const yesterday = statSync(memoOf(place)).mtimeMs / 1000 - 25 * 3600
        utimesSync(memoOf(place), yesterday, yesterday)
        assert.deepStrictEqual(yield* greetings, both)
        assert.deepStrictEqual(yield* greetings, ["initialize"])
        behave({ discover: "modern", initialize: "refused" })
        assert.deepStrictEqual(yield* greetings, ["initialize", "server/discover"])
        assert.deepStrictEqual(yield* greetings, ["server/discover"])
      })
    ))

  it.live("is not written for a text that holds the value of a variable", () =>
    inPlace((place) =>
      Effect.gen(function*() {
        yield* define(place, { args: ["--key=${API_KEY}"] })
        yield* place.call({ API_KEY: "secret" })
        assert.isFalse(readdirSync(join(place.directory, "cache/mcp-sessions")).includes("launches"))
      })
    ))

  it.live("is not written for files of which one is not trusted", () =>
    inPlace((place) =>
      Effect.gen(function*() {
        yield* define(place)
        place.write("mcp-sessions.json", { servers: { other: { command: "other" } } })
        yield* place.call()
        assert.isFalse(readdirSync(join(place.directory, "cache/mcp-sessions")).includes("launches"))
      })
    ))

  it.live("is not written for a server whose name begins those of others", () =>
    inPlace((place) =>
      Effect.gen(function*() {
        const definition = { command: place.server }
        place.write(".mcp.json", { mcpServers: { good: definition, "good/other": definition } })
        yield* trust(place)
        yield* place.call()
        assert.isFalse(readdirSync(join(place.directory, "cache/mcp-sessions")).includes("launches"))
      })
    ))

  it("is private only if it belongs to this user, and to nobody else", () => {
    const uid = process.getuid?.() ?? 0
    const stats = statSync(import.meta.filename)
    const privacy = (uid: number, mode: number) => isPrivate(Object.assign(Object.create(stats), { uid, mode }))
    assert.deepStrictEqual(
      [privacy(uid, 0o40700), privacy(uid + 1, 0o40700), privacy(uid, 0o40710), privacy(uid, 0o40702)],
      [true, false, false, false]
    )
  })

  it("is found by words that are read as the command reads them", () => {
    const server = (server: string, config: ReadonlyArray<string> = []): CallWords => ({ config, server, command: [] })
    const cases: ReadonlyArray<readonly [words: string, CallWords | undefined]> = [
      ["call a/b", server("a")],
      ["call a/b/c x=1 --json", server("a")],
      ["--json call --raw a/b", server("a")],
      ["-c f.json call a/b --config g.json --timeout 5", server("a", ["f.json", "g.json"])],
      ["call a/b --config=f.json --args={}", server("a", ["f.json"])],
      ["call b -- program x -y", { config: [], server: undefined, command: ["program", "x", "-y"] }],
      ["call a/b --dry-run", undefined],
      ["call a/b --no-validate", undefined],
      ["call a/b --trust", undefined],
      ["call a/b --save out", undefined],
      ["call a/b --timeout", undefined],
      ["call a/b --args -", undefined],
      ["call https://example.com/mcp echo", undefined],
      ["call", undefined],
      ["call a", undefined],
      ["call a/", undefined],
      ["call -- program", undefined],
      ["call a/b -- -x", undefined],
      ["tools a/b", undefined],
      ["--header x call a/b", undefined]
    ]
    for (const [words, expected] of cases) assert.deepStrictEqual(callWordsOf(words.split(" ")), expected, words)
  })

  const texts = Schema.Array(Schema.String)
  it.effect.prop(
    "starts what was started, or nothing",
    [Schema.String, texts, Schema.Record(Schema.String, Schema.String), Schema.Record(Schema.String, Schema.String)],
    ([content, args, environment, env]) =>
      Effect.sync(() => {
        const origins = {
          facts: [{ kind: "file", path: "/a/b/file", sha256: "" }] as const,
          texts: new Map([[0, content]]),
          environment,
          inherited: environment,
          variables: new Set(Object.keys(environment))
        }
        const whole = [...args, ...Object.values(env)].every((text) =>
          content.includes(text) || Object.values(environment).includes(text)
        )
        const launch: Launch = { command: content, args, cwd: "/a", env, given: Object.keys(env) }
        const source = sourceOf(launch, origins)
        assert.strictEqual(source !== undefined, whole)
        if (source !== undefined) assert.deepStrictEqual(launchOf(source, origins), launch)
      })
  )
})
