/**
 * Runs the soak test for a few seconds with a fixed seed and checks all criteria.
 */
import { assert, describe, it } from "@effect/vitest"
import { execFile } from "node:child_process"
import { join } from "node:path"

const soak = (args: ReadonlyArray<string>) =>
  new Promise<{ readonly code: number | null; readonly stdout: string; readonly stderr: string }>((resolve) => {
    const program = join(import.meta.dirname, "../bench/soak.ts")
    const child = execFile(
      process.execPath,
      ["--expose-gc", program, ...args],
      (_, stdout, stderr) => resolve({ code: child.exitCode, stdout, stderr })
    )
  })

describe.concurrent("the soak test", () => {
  it.each([
    ["finds no duplicate call, no undeclared failure and no leak while servers fail", []],
    ["finds none of them for clients of a gateway either", ["--gateway"]]
  ])("%s", async (_, more) => {
    const { code, stderr, stdout } = await soak(["--seconds", "12", "--seed", "11", "--fault-every", "0.7", ...more])
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

  it("refuses an option that is out of bounds", async () => {
    const { code, stderr, stdout } = await soak(["--rate", "0"])
    assert.strictEqual(code, 1)
    assert.include(stderr, `--rate is a number from 1, not "0"`)
    assert.strictEqual(stdout, "")
  })
})
