import { assert, describe, it } from "@effect/vitest"
import type { Row } from "@mcp-sessions/cli/Check"
import { print } from "@mcp-sessions/cli/CheckTable"
import { Invocation } from "@mcp-sessions/cli/Invocation"
import * as Output from "@mcp-sessions/cli/Output"
import { SessionError } from "@mcp-sessions/core"
import { Effect, Layer } from "effect"
import { captured, workplace } from "./cli.ts"

const row = (name: string, rest: Partial<Row>): Row => ({
  name,
  source: "mcp-sessions.json",
  transport: "stdio",
  state: "healthy",
  isHealthy: true,
  lastChecked: 0,
  errorCount: 0,
  latency: undefined,
  info: undefined,
  tools: undefined,
  error: undefined,
  ...rest
})

const healthy = (name: string, warnings: ReadonlyArray<string> = []) =>
  row(name, {
    latency: { connect: 200, ping: 4, list: 6 },
    tools: 14,
    info: {
      server: name,
      generation: 1,
      protocolVersion: "2025-11-25",
      era: "legacy",
      capabilities: {},
      implementation: { name: "files", version: "1.0.0" },
      instructions: undefined,
      pid: 7,
      warnings
    } as never
  })

const rows: ReadonlyArray<Row> = [
  row("broken", {
    state: "unhealthy",
    isHealthy: false,
    error: new SessionError.SessionError({
      server: "broken",
      reason: new SessionError.ServerExited({
        exitCode: 3,
        signal: null,
        stderrTail: "FATAL no key\nbye",
        delivery: "NotSent"
      })
    })
  }),
  healthy("文件", ["printed 1 non-JSON-RPC line to stdout, first: hello"]),
  row("off", { state: "disabled", isHealthy: false }),
  healthy("files")
]

/** Prints rows to a terminal of a width, or to a pipe. */
const printed = (columns?: number) =>
  Effect.gen(function*() {
    const place = yield* workplace
    const stdout = captured(columns)
    const invocation = { ...place.invocation({}), stdout }
    yield* Effect.provide(print(rows), Output.layer.pipe(Layer.provide(Layer.succeed(Invocation, invocation))))
    return stdout.text()
  }).pipe(Effect.scoped)

describe("the report of a check", () => {
  it.effect("has labelled rows in the order of the configuration, then failures and warnings, and ends with how many are healthy", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual((yield* printed()).trimEnd().split("\n"), [
        "   SERVER  TRANSPORT  TIME   TOOLS  RESULT",
        "✗  broken  stdio                    ServerExited: the server exited with code 3",
        "✓  文件    stdio      0.21s     14  2025-11-25 legacy files 1.0.0",
        "–  off     stdio                    disabled",
        "✓  files   stdio      0.21s     14  2025-11-25 legacy files 1.0.0",
        "",
        "error[ServerExited] broken: the server exited with code 3",
        "  | FATAL no key",
        "  | bye",
        "  try: read all that it wrote to stderr: mcp-sessions logs --stderr broken",
        "",
        "warning 文件: printed 1 non-JSON-RPC line to stdout, first: hello",
        "",
        "2 of 3 healthy; 1 disabled: off"
      ])
    }))

  it.effect("fits the width of a terminal", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual((yield* printed(50)).trimEnd().split("\n"), [
        "   SERVER  TRANSPORT  TIME   TOOLS  RESULT",
        "✗  broken  stdio                    ServerExited:",
        "  the server exited with code 3",
        "✓  文件    stdio      0.21s     14  2025-11-25",
        "  legacy files 1.0.0",
        "–  off     stdio                    disabled",
        "✓  files   stdio      0.21s     14  2025-11-25",
        "  legacy files 1.0.0",
        "",
        "error[ServerExited] broken: the server exited with",
        "  code 3",
        "  | FATAL no key",
        "  | bye",
        "  try: read all that it wrote to stderr:",
        "    mcp-sessions logs --stderr broken",
        "",
        "warning 文件: printed 1 non-JSON-RPC line to",
        "  stdout, first: hello",
        "",
        "2 of 3 healthy; 1 disabled: off"
      ])
    }))
})
