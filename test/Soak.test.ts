/**
 * Runs the soak test for a few seconds with a fixed seed and checks all criteria.
 */
import { assert, describe, it } from "@effect/vitest"
import { execFile } from "node:child_process"
import { join } from "node:path"
import { read, usage } from "../bench/soak/options.ts"

const soak = (args: ReadonlyArray<string>) =>
  new Promise<{ readonly code: number | null; readonly stdout: string; readonly stderr: string }>((resolve) => {
    const child = execFile(
      process.execPath,
      ["--expose-gc", join(import.meta.dirname, "../bench/soak.ts"), ...args],
      (_, stdout, stderr) => resolve({ code: child.exitCode, stdout, stderr })
    )
  })

describe.concurrent("the soak test", () => {
  it("finds no duplicate call, no undeclared failure and no leak while servers fail", async () => {
    const { code, stderr, stdout } = await soak(["--seconds", "12", "--seed", "11", "--fault-every", "0.7"])
    assert.strictEqual(code, 0, stdout + stderr)
    const count = (what: string) => Number(new RegExp(`^\\| ${what} \\| (\\d+)`, "m").exec(stdout)?.[1])
    for (
      const nothing of [
        "duplicates: calls that must run once and ran more often",
        "disagreements of client and server about what ran",
        "untyped failures",
        "left over after the scope closed"
      ]
    ) assert.strictEqual(count(nothing), 0)
    assert.isAbove(count("calls"), 100)
    assert.isAbove(count("faults"), 0)
    assert.match(stderr, /^seed 11, .*\n\d+ s: \d+ calls, /m)
  }, 180_000)

  it("prints the error of a wrong option with its usage, and exits with 2", async () => {
    const { code, stderr, stdout } = await soak(["--seconds", "soon"])
    assert.strictEqual(code, 2, stderr)
    assert.include(stderr, `--seconds is a number from 10 to 604800, not "soon"\n\n${usage.slice(0, 40)}`)
    assert.strictEqual(stdout, "")
  })

  it("refuses options that are out of bounds or that it does not have", () => {
    for (
      const [args, problem] of [
        [["--rate", "0"], `--rate is a number from 1 to 1000, not "0"`],
        [["--minutes", "1"], "Unknown option '--minutes'"],
        [["600"], "Unexpected argument '600'"]
      ] as const
    ) assert.throws(() => read(args), problem)
    assert.isUndefined(read(["--help"]))
  })
})
