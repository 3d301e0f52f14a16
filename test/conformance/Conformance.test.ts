/**
 * Scenarios of the official conformance suite through the session layer, each with the number of checks that it has to
 * pass: some scenarios are content with a client that does nothing.
 */
import { assert, describe, it } from "@effect/vitest"
import { execFile } from "node:child_process"
import { createRequire } from "node:module"
import { fileURLToPath } from "node:url"

const suite = createRequire(import.meta.url).resolve("@modelcontextprotocol/conformance/dist/index.js")
const client = fileURLToPath(new URL("client.ts", import.meta.url))

const scenarios: ReadonlyArray<readonly [scenario: string, checks: number, revision?: string]> = [
  ["initialize", 1, "2025-06-18"],
  ["initialize", 1, "2025-11-25"],
  ["tools_call", 2, "2025-06-18"],
  ["tools_call", 2, "2025-11-25"],
  ["tools_call", 2, "2026-07-28"],
  ["elicitation-sep1034-client-defaults", 5],
  ["sse-retry", 3],
  ["request-metadata", 8],
  ["http-standard-headers", 9],
  ["http-custom-headers", 18],
  ["http-invalid-tool-headers", 12],
  ["json-schema-ref-no-deref", 1],
  ["json-schema-2020-12-preservation", 6, "2025-11-25"],
  ["json-schema-2020-12-preservation", 9, "2026-07-28"],
  ["sep-2322-client-request-state", 5]
]

const run = (scenario: string, revision: string | undefined) =>
  new Promise<{ readonly code: number | null; readonly output: string }>((resolve) => {
    const args = ["client", "--command", `${process.execPath} ${client}`, "--scenario", scenario]
    const child = execFile(
      process.execPath,
      [suite, ...args, ...(revision === undefined ? [] : ["--spec-version", revision])],
      (_, stdout, stderr) => resolve({ code: child.exitCode, output: stdout + stderr })
    )
  })

describe.concurrent("conformance", () => {
  for (const [scenario, checks, revision] of scenarios) {
    it(`passes ${scenario}${revision === undefined ? "" : ` at ${revision}`} with at least ${checks} checks`, async () => {
      const { code, output } = await run(scenario, revision)
      const [, passed, total, failed, warnings] =
        /Passed: (\d+)\/(\d+), (\d+) failed, (\d+) warnings/.exec(output)?.map(Number) ?? []
      assert.strictEqual(code, 0, output)
      assert.deepStrictEqual({ failed, warnings, passed }, { failed: 0, warnings: 0, passed: total }, output)
      assert.isAtLeast(passed ?? 0, checks, output)
    })
  }
})
