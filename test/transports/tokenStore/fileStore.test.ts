/**
 * Token stores in files: rights, faults of the disk, and death of a writer.
 */
import { assert, describe, it } from "@effect/vitest"
import { TokenStore } from "@mcp-sessions/transports"
import { ConfigProvider, Effect, Layer, Redacted } from "effect"
import { spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import * as Fs from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { inspect } from "node:util"
import { fixture } from "../../fixtures/fixture.ts"

const program = fixture("tokenStoreProcess.ts")

const makeDirectory = Effect.acquireRelease(
  Effect.sync(() => Fs.mkdtempSync(join(tmpdir(), "tokens-"))),
  (directory) => Effect.sync(() => Fs.rmSync(directory, { recursive: true, force: true }))
)

const use = <A, E>(directory: string, f: (store: TokenStore.TokenStore["Service"]) => Effect.Effect<A, E>) =>
  Effect.flatMap(TokenStore.TokenStore, f).pipe(Effect.provide(TokenStore.layerFile({ directory }), { local: true }))

const save = (directory: string, text: string) =>
  use(directory, ({ put }) => put({ key: "counter", value: Redacted.make(text), version: undefined }))

const load = (directory: string) =>
  use(directory, ({ get }) => Effect.map(get("counter"), (entry) => entry && Redacted.value(entry.value)))

const entryFile = (directory: string) => {
  const name = Fs.readdirSync(directory).find((name) => name.endsWith(".json"))
  assert.isDefined(name)
  return join(directory, name ?? "")
}

const modeOf = (path: string) => Fs.statSync(path).mode & 0o777
const isRoot = process.getuid?.() === 0

const run = (command: string, words: ReadonlyArray<string>) =>
  Effect.promise(async () => {
    const child = spawn(command, words, { stdio: ["ignore", "pipe", "inherit"] })
    let output = ""
    child.stdout.setEncoding("utf8").on("data", (text) => output += text)
    await once(child, "close")
    return output.trim()
  })

/** Starts a program, and waits until it says something. */
const start = (words: ReadonlyArray<string>) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const child = spawn(process.execPath, [program, ...words], { stdio: ["ignore", "pipe", "inherit"] })
      const [said] = await once(child.stdout, "data")
      return { child, said: String(said).trim() }
    }),
    ({ child }) => Effect.sync(() => child.kill("SIGKILL"))
  )

describe("a token store in files", () => {
  it.effect("gives the directory mode 0700 and every file in it 0600", () =>
    Effect.gen(function*() {
      const directory = join(yield* makeDirectory, "a", "tokens")
      yield* save(directory, "secret")
      yield* use(directory, ({ locked }) => locked("counter", Effect.void))
      assert.strictEqual(modeOf(directory), 0o700)
      assert.strictEqual(modeOf(join(directory, "..")), 0o700)
      const files = Fs.readdirSync(directory)
      assert.strictEqual(files.length, 3)
      assert.deepStrictEqual(new Set(files.map((name) => modeOf(join(directory, name)))), new Set([0o600]))
    }))

  it.effect("takes rights that others have on the directory or a file away before it reads or writes", () =>
    Effect.gen(function*() {
      const directory = join(yield* makeDirectory, "tokens")
      yield* save(directory, "secret")
      Fs.chmodSync(directory, 0o755)
      Fs.chmodSync(entryFile(directory), 0o644)
      assert.strictEqual(yield* load(directory), "secret")
      assert.deepStrictEqual([modeOf(directory), modeOf(entryFile(directory))], [0o700, 0o600])
      Fs.chmodSync(directory, 0o777)
      yield* use(directory, ({ locked }) => locked("counter", Effect.void))
      assert.strictEqual(modeOf(directory), 0o700)
    }))

  it.effect.skipIf(!isRoot)(
    "refuses a directory and a file of another user (needs root)",
    () =>
      Effect.gen(function*() {
        const directory = join(yield* makeDirectory, "tokens")
        yield* save(directory, "secret")
        Fs.chownSync(entryFile(directory), 1234, 1234)
        assert.strictEqual((yield* Effect.flip(load(directory))).reason, "Exposed")
        Fs.chownSync(directory, 1234, 1234)
        assert.deepInclude(yield* Effect.flip(save(directory, "new")), { operation: "lock", reason: "Exposed" })
      })
  )

  it.effect("reports a broken entry without its text, keeps it, and removes it when asked", () =>
    Effect.gen(function*() {
      const directory = join(yield* makeDirectory, "tokens")
      yield* save(directory, "secret-text")
      const file = entryFile(directory)
      const whole = Fs.readFileSync(file, "utf8")
      for (
        const text of [
          whole.slice(0, -3),
          "",
          "null",
          "secret-text",
          whole.replace("counter", "other"),
          "x".repeat(2e6)
        ]
      ) {
        Fs.writeFileSync(file, text)
        for (const failing of [Effect.asVoid(load(directory)), Effect.asVoid(save(directory, "secret-new"))]) {
          const error = yield* Effect.flip(failing)
          assert.strictEqual(error.reason, "Broken")
          assert.include(error.message, file)
          assert.notInclude(`${inspect(error, { depth: 9 })}${JSON.stringify(error)}${String(error)}`, "secret")
        }
        assert.strictEqual(Fs.readFileSync(file, "utf8"), text)
      }
      const listed = yield* Effect.flip(use(directory, ({ list }) => list("")))
      assert.deepInclude(listed, { operation: "list", reason: "Broken" })
      assert.isTrue(yield* use(directory, ({ remove }) => remove({ key: "counter", version: undefined })))
      assert.isUndefined(yield* load(directory))
      assert.isTrue((yield* save(directory, "again")).isSaved)
    }))

  it.effect("fails on what is not a file or a directory where one should be", () =>
    Effect.gen(function*() {
      const directory = join(yield* makeDirectory, "tokens")
      Fs.writeFileSync(directory, "a file")
      assert.deepInclude(yield* Effect.flip(load(directory)), { reason: "Unreadable", code: "ENOTDIR" })
      assert.strictEqual((yield* Effect.flip(save(directory, "v")))._tag, "TokenStoreFailed")
      Fs.rmSync(directory)
      yield* save(directory, "v")
      const file = entryFile(directory)
      Fs.renameSync(file, `${file}.moved`)
      Fs.symlinkSync(`${file}.moved`, file)
      assert.deepInclude(yield* Effect.flip(load(directory)), { reason: "Unreadable", code: "ELOOP" })
      Fs.rmSync(file)
      spawnSync("mkfifo", [file])
      assert.strictEqual((yield* Effect.flip(load(directory))).reason, "Broken")
      Fs.rmSync(file)
      Fs.mkdirSync(file)
      assert.strictEqual((yield* Effect.flip(load(directory))).reason, "Broken")
      Fs.writeFileSync(file.replace(".json", ".lock"), "not a lock file")
      const lock = yield* Effect.flip(use(directory, ({ locked }) => locked("counter", Effect.void)))
      assert.strictEqual(lock.reason, "LockFailed")
    }))

  it.effect("keeps the old entry when a write fails, and leaves no other file of the write", () =>
    Effect.gen(function*() {
      const directory = join(yield* makeDirectory, "tokens")
      yield* save(directory, "old")
      const before = Fs.readdirSync(directory)
      // The limit of the system on the size of files.
      const output = yield* run("sh", [
        "-c",
        "ulimit -f 1; exec \"$@\"",
        "sh",
        process.execPath,
        program,
        "file",
        directory,
        "put",
        "100000"
      ])
      assert.deepInclude(JSON.parse(output), {
        _tag: "TokenStoreFailed",
        operation: "put",
        reason: "Unwritable",
        code: "EFBIG"
      })
      assert.strictEqual(yield* load(directory), "old")
      assert.deepStrictEqual(Fs.readdirSync(directory), before)
    }))

  const small = Fs.mkdtempSync(join(tmpdir(), "tokens-small-"))
  const isMounted = spawnSync("mount", ["-t", "tmpfs", "-o", "size=64k,mode=0700", "tmpfs", small]).status === 0
  const unmount = Effect.sync(() => {
    if (isMounted) spawnSync("umount", [small])
    Fs.rmSync(small, { recursive: true, force: true })
  })

  it.effect.skipIf(!isMounted)(
    "keeps the old entry when the disk is full (needs the right to mount)",
    () =>
      Effect.gen(function*() {
        yield* save(small, "old")
        const before = Fs.readdirSync(small)
        const value = Redacted.make("secret".repeat(20_000))
        const error = yield* Effect.flip(use(small, ({ get, put }) =>
          Effect.flatMap(get("counter"), (entry) =>
            put({ key: "counter", value, version: entry?.version }))))
        assert.deepInclude(error, { operation: "put", reason: "Unwritable", code: "ENOSPC" })
        assert.notInclude(inspect(error, { depth: 9 }), "secret")
        assert.strictEqual(yield* load(small), "old")
        assert.deepStrictEqual(Fs.readdirSync(small), before)
      }).pipe(Effect.ensuring(unmount))
  )

  it.effect("keeps the old entry and no lock when a writer is killed before the new file takes its place", () =>
    Effect.gen(function*() {
      const directory = join(yield* makeDirectory, "tokens")
      yield* save(directory, "old")
      const { child, said } = yield* start(["file", directory, "stop-before-rename"])
      assert.strictEqual(said, "renaming")
      assert.isTrue(Fs.readdirSync(directory).some((name) => name.endsWith(".tmp")))
      child.kill("SIGKILL")
      yield* Effect.promise(() => once(child, "exit"))
      assert.strictEqual(yield* load(directory), "old")
      const { isSaved } = yield* use(
        directory,
        ({ get, put }) =>
          Effect.flatMap(
            get("counter"),
            (entry) => put({ key: "counter", value: Redacted.make("next"), version: entry?.version })
          )
      )
      assert.isTrue(isSaved)
      assert.strictEqual(yield* load(directory), "next")
      assert.isFalse(Fs.readdirSync(directory).some((name) => name.endsWith(".tmp")))
    }))

  it.effect("is in the directory of the user for the state of programs, unless one is named", () =>
    Effect.gen(function*() {
      const home = yield* makeDirectory
      const withEnvironment = (env: Record<string, string>) =>
        Effect.flatMap(
          TokenStore.TokenStore,
          ({ put }) => put({ key: "k", value: Redacted.make("v"), version: undefined })
        ).pipe(
          Effect.provide(
            TokenStore.layerFile().pipe(
              Layer.provide(Layer.succeed(ConfigProvider.ConfigProvider, ConfigProvider.fromEnv({ env })))
            ),
            { local: true }
          )
        )
      yield* withEnvironment({ XDG_STATE_HOME: join(home, "state"), HOME: home })
      assert.isTrue(Fs.existsSync(join(home, "state/mcp-sessions/tokens")))
      if (process.platform === "linux") {
        yield* withEnvironment({ HOME: home })
        assert.isTrue(Fs.existsSync(join(home, ".local/state/mcp-sessions/tokens")))
      }
      assert.deepInclude(yield* Effect.flip(withEnvironment({})), { operation: "open", reason: "Unsupported" })
    }))
})
