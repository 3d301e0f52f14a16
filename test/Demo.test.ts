import { assert, describe, it } from "@effect/vitest"
import { execFile } from "node:child_process"
import { join } from "node:path"

describe("the demonstration", () => {
  it("does all that it says", async () => {
    const { code, output } = await new Promise<{ readonly code: number | null; readonly output: string }>((resolve) => {
      const child = execFile(
        process.execPath,
        [join(import.meta.dirname, "../examples/demo.ts")],
        (_, stdout, stderr) => resolve({ code: child.exitCode, output: stdout + stderr })
      )
    })
    assert.strictEqual(code, 0, output)
    assert.match(output, /✓ everything +stdio .*\n|✓ filesystem/)
    for (
      const done of [
        "✗ broken",
        "FATAL: API_KEY is not set",
        "the broken server delayed nobody",
        "everything/get-sum",
        "everything-http/echo",
        "filesystem/read_text_file",
        "generation 2",
        "no child process is left"
      ]
    ) assert.include(output, done)
  })
})
