/**
 * The watchdog, with real processes: which groups it ends once its pipe has closed, and when it runs.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { readFileSync } from "node:fs"
import { Watchdog } from "../../../packages/transports/src/internal/stdio/watchdog.ts"
import { isAlive, until } from "../../fixtures/peer.ts"

/** A process that leads a group and waits, deaf to SIGTERM if wanted, until the scope closes. */
const leader = (options: { readonly isDeaf: boolean }) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const code = `${
        options.isDeaf ? "process.on('SIGTERM', () => {});" : ""
      } setInterval(() => {}, 1000); console.log(1)`
      const child = spawn(process.execPath, ["-e", code], { detached: true, stdio: ["ignore", "pipe", "ignore"] })
      await once(child.stdout, "data")
      return child
    }),
    (child) => Effect.sync(() => child.kill("SIGKILL"))
  )

const exited = (child: ChildProcess) => until(() => child.signalCode, (signal) => signal !== null)

/** A watchdog whose pipe closes with this function, as if this process had ended. */
const watchdogOf = (groups: ReadonlyArray<ChildProcess>) => {
  const watchdog = new Watchdog()
  for (const { pid } of groups) if (pid !== undefined) watchdog.add(pid)
  return watchdog
}

describe("Watchdog", () => {
  it.live("ends the groups on its list when its pipe closes, by SIGTERM, or by SIGKILL if that is ignored", () =>
    Effect.gen(function*() {
      const polite = yield* leader({ isDeaf: false })
      const deaf = yield* leader({ isDeaf: true })
      watchdogOf([polite, deaf]).closePipe()
      assert.strictEqual(yield* exited(polite), "SIGTERM")
      assert.strictEqual(yield* exited(deaf), "SIGKILL")
    }).pipe(Effect.scoped))

  it.live("leaves alone a group that was taken off its list", () =>
    Effect.gen(function*() {
      const removed = yield* leader({ isDeaf: false })
      const kept = yield* leader({ isDeaf: false })
      const watchdog = watchdogOf([removed, kept])
      const shell = watchdog.pid ?? assert.fail("the watchdog does not run")
      watchdog.remove(removed.pid ?? 0)
      watchdog.closePipe()
      assert.strictEqual(yield* exited(kept), "SIGTERM")
      yield* until(() => isAlive(shell), (alive) => !alive)
      assert.strictEqual(removed.signalCode, null)
    }).pipe(Effect.scoped))

  it.live("leaves alone a group whose id was given to another process", () =>
    Effect.gen(function*() {
      const reused = yield* leader({ isDeaf: false })
      const kept = yield* leader({ isDeaf: false })
      const watchdog = watchdogOf([kept])
      const shell = watchdog.pid ?? assert.fail("the watchdog does not run")
      watchdog.add(reused.pid ?? 0, "1")
      watchdog.closePipe()
      assert.strictEqual(yield* exited(kept), "SIGTERM")
      yield* until(() => isAlive(shell), (alive) => !alive)
      assert.strictEqual(reused.signalCode, null)
    }).pipe(Effect.scoped, Effect.when(Effect.sync(() => process.platform === "linux"))))

  it.live("knows its first group from its start on, although this process may end before it writes a line", () =>
    Effect.gen(function*() {
      const { pid = 0 } = yield* leader({ isDeaf: false })
      const watchdog = new Watchdog()
      watchdog.add(pid)
      const words = readFileSync(`/proc/${watchdog.pid ?? 0}/cmdline`, "utf8").split("\0")
      assert.isTrue(words.some((word) => word.startsWith(`${pid}:`)))
      watchdog.remove(pid)
    }).pipe(Effect.scoped))

  it.live("runs only while there are groups, in a session of its own", () =>
    Effect.gen(function*() {
      const child = yield* leader({ isDeaf: false })
      const watchdog = watchdogOf([child])
      const shell = watchdog.pid ?? assert.fail("the watchdog does not run")
      if (process.platform === "linux") {
        const session = readFileSync(`/proc/${shell}/stat`, "utf8").replace(/^.*\) /s, "").split(" ")[3]
        assert.strictEqual(session, String(shell))
      }
      watchdog.remove(child.pid ?? 0)
      yield* until(() => isAlive(shell), (alive) => !alive)
      assert.strictEqual(child.signalCode, null)
    }).pipe(Effect.scoped))

  it.live("is replaced when it was killed, and knows all groups again", () =>
    Effect.gen(function*() {
      const child = yield* leader({ isDeaf: false })
      const other = yield* leader({ isDeaf: false })
      const watchdog = watchdogOf([child])
      const shell = watchdog.pid ?? assert.fail("the watchdog does not run")
      process.kill(shell, "SIGKILL")
      yield* until(() => watchdog.pid, (pid) => pid !== shell)
      watchdog.add(other.pid ?? 0)
      watchdog.closePipe()
      assert.strictEqual(yield* exited(child), "SIGTERM")
      assert.strictEqual(yield* exited(other), "SIGTERM")
    }).pipe(Effect.scoped))

  it.live("says why it does not run where there is no shell", () =>
    Effect.gen(function*() {
      const watchdog = new Watchdog("/no/such/shell")
      watchdog.add(1)
      yield* until(() => watchdog.failure, (failure) => failure !== undefined)
      assert.include(watchdog.failure, "ENOENT")
      assert.strictEqual(watchdog.pid, undefined)
    }))
})
