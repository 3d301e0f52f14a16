import { assert, describe, it } from "@effect/vitest"
import { execFile } from "node:child_process"
import { readFileSync } from "node:fs"
import { join } from "node:path"

/** Text without what differs from run to run: times, process ids, and the width of columns. */
const bare = (text: string): string => text.replaceAll(/\d+(\.\d+)?/g, "#").replaceAll(/ +/g, " ")

describe("examples/demo.ts", () => {
  it("runs all four steps and exits with code 0", async () => {
    const { code, output } = await new Promise<{ readonly code: number | null; readonly output: string }>((resolve) => {
      const child = execFile(
        process.execPath,
        [join(import.meta.dirname, "../examples/demo.ts")],
        (_, stdout, stderr) => resolve({ code: child.exitCode, output: stdout + stderr })
      )
    })
    assert.strictEqual(code, 0, output)
    for (const name of ["everything", "everything-http", "filesystem"]) {
      assert.match(output, new RegExp(`^✓ {2}${name} .* \\d+ {2}2025`, "m"))
    }
    for (
      const line of [
        "✗  broken",
        "FATAL: API_KEY is not set",
        "did not delay the others",
        "✓ everything/get-sum {\"a\":19,\"b\":23} → The sum of 19 and 23 is 42.",
        "✓ everything-http/echo",
        "✓ filesystem/read_text_file",
        "(connection 2) answered the next call",
        "all 3 processes of the stdio servers have ended"
      ]
    ) assert.include(output, line)
    const [, shown = ""] =
      /^```text\n([\s\S]*?)^```/m.exec(readFileSync(join(import.meta.dirname, "../README.md"), "utf8")) ?? []
    const lines = shown.split("\n").filter((line) => line !== "")
    assert.isAbove(lines.length, 10)
    for (const line of lines) assert.include(bare(output), bare(line), "the README shows another output")
  })
})
