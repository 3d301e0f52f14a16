/**
 * The official conformance suite for servers, on a gateway over servers that have what its scenarios ask for.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { execFile } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { createRequire } from "node:module"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { call, post, startGateway } from "../../fixtures/gateway.ts"
import { fixture } from "../../fixtures/peer.ts"

const suite = createRequire(import.meta.url).resolve("@modelcontextprotocol/conformance/dist/index.js")

/** Runs what a revision requires of a server, and gives the lines of the summary. */
const run = (url: string, revision: string) =>
  Effect.acquireUseRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "conformance-"))),
    (cwd) =>
      Effect.callback<ReadonlyArray<string>>((resume) => {
        const args = [suite, "server", "--url", url, "--requirements", revision]
        execFile(process.execPath, args, { cwd, maxBuffer: 64 * 1024 ** 2 }, (_, stdout) => {
          resume(Effect.succeed(stdout.split("\n").filter((line) => /^[✓✗] /.test(line))))
        })
      }),
    (cwd) => Effect.sync(() => rmSync(cwd, { recursive: true }))
  )

/** A call of a client of 2026-07-28. */
const modernCall = (name: string, args: object, capabilities: object) =>
  call(1, name, args, {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": { name: "bare", version: "1" },
    "io.modelcontextprotocol/clientCapabilities": capabilities
  })

describe("the conformance suite for servers", () => {
  it.live("passes what revision 2025-11-25 requires, through a gateway", () =>
    Effect.gen(function*() {
      const server = { command: process.execPath, args: [fixture("conformanceServer.ts")] }
      const { url } = yield* startGateway({ server }, { drainTimeout: 0 })
      const lines = yield* run(url, "2025-11-25")
      assert.isAbove(lines.length, 25)
      assert.deepStrictEqual(lines.filter((line) => line.startsWith("✗")), [])
    }), 300_000)

  it.live(
    "passes what revision 2026-07-28 requires, and the scenarios of tasks, but gives results to clients without tasks",
    () =>
      Effect.gen(function*() {
        const server = (file: string) => ({ command: process.execPath, args: [fixture(file)] })
        const { url } = yield* startGateway(
          {
            legacy: server("conformanceServer.ts"),
            modern: server("conformanceModern.ts"),
            tasks: server("conformanceTasks.ts")
          },
          { prefix: false, drainTimeout: 0 }
        )
        // The suite waits half a second for some messages, less than a process of a server may take to start.
        yield* Effect.forEach([{}, { elicitation: {} }], (capabilities) =>
          post(url, modernCall("test_custom_header", { region: "" }, capabilities), {
            headers: {
              "mcp-protocol-version": "2026-07-28",
              "mcp-method": "tools/call",
              "mcp-name": "test_custom_header",
              "mcp-param-region": "=?base64??="
            }
          }))
        const lines = yield* run(url, "2026-07-28")
        const namesOf = (mark: string) =>
          lines.filter((line) =>
            line.startsWith(mark)
          ).map((line) => line.slice(2, line.indexOf(":")))
        // It wants an error for a client that does not know tasks. The gateway can wait for the task, and answers with the result.
        assert.deepStrictEqual(namesOf("✗"), ["tasks-required-task-error"])
        assert.includeMembers(namesOf("✓"), [
          "server-stateless",
          "http-header-validation",
          "http-custom-header-server-validation",
          "input-required-result-multi-round",
          "caching",
          "dns-rebinding-protection",
          "tasks-lifecycle",
          "tasks-capability-negotiation",
          "tasks-wire-fields",
          "tasks-request-state-removal",
          "tasks-mrtr-input",
          "tasks-mrtr-composition",
          "tasks-request-headers",
          "tasks-dispatch-and-envelope"
        ])
        assert.isAbove(namesOf("✓").length, 40)
      }),
    300_000
  )
})
