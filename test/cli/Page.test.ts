/**
 * `docs/cli.md` against the program.
 */
import { assert, describe, it } from "@effect/vitest"
import { exitStatus, ToolFailed } from "@mcp-sessions/cli/Failure"
import { SessionError } from "@mcp-sessions/core"
import { Effect } from "effect"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { commandTable } from "../../tools/commandTable.ts"
import { cellsOf, region } from "../../tools/markdown.ts"
import { workplace } from "./cli.ts"

const page = "docs/cli.md"
const rows = (text: string) => text.trim().split("\n").map(cellsOf).filter(([first = ""]) => !/^-+:?$/.test(first))

const statusesOf = (rows: ReadonlyArray<ReadonlyArray<string>>): ReadonlyArray<number> =>
  rows.flatMap(([cell = ""]) => /^\d/.test(cell) ? cell.split(", ").map(Number) : [])

describe("the page of the command line", () => {
  it.effect("lists the commands and flags of the program (pnpm recording)", () =>
    Effect.map(commandTable, (table) => assert.deepStrictEqual(rows(region(page, "commands")), rows(table))))

  it.live("lists each exit status of the program, and no other", () =>
    Effect.scoped(Effect.gen(function*() {
      const { run, write } = yield* workplace
      const broken = write("broken.json", { servers: { broken: { command: "no-such-command" } } })
      const invalid = write("invalid.json", { servers: { invalid: { command: "x", colour: "red" } } })
      const failure = (reason: SessionError.Reason) =>
        exitStatus(new SessionError.SessionError({ server: "s", reason }))
      const lost = new SessionError.TransportClosed({ delivery: "Unknown" })
      const found = new Map<number, string>()
      for (
        const [status, words] of [
          [0, ["servers", "--config", broken]],
          [2, ["no-such-command"]],
          [4, ["call", "broken/tool", "--config", broken]],
          [10, ["config", "check", invalid]],
          [13, ["check", "--config", broken]]
        ] as const
      ) {
        const outcome = yield* run(words)
        assert.strictEqual(outcome.status, status, words.join(" "))
        found.set(status, words[0])
      }
      const failed = { server: "s", tool: "t", kind: "ToolError", description: "failed" } as const
      for (
        const [name, status] of [
          ["auth", failure(new SessionError.AuthRequired({ status: 401 }))],
          ["tool", exitStatus(new ToolFailed(failed))],
          ["timeout", failure(new SessionError.RequestTimeout({ method: "ping", timeout: 1000, delivery: "NotSent" }))],
          ["unknown", failure(new SessionError.OutcomeUnknown({ method: "tools/call", tool: "t", sentAt: 0, lost }))],
          ["protocol", failure(new SessionError.Unsupported({ method: "ping", description: "x" }))]
        ] as const
      ) found.set(status, name)
      const listed = statusesOf(rows(region(page, "statuses")))
      // 1 is a defect of the program. The tests of signals have the last three.
      assert.deepStrictEqual(listed, [...found.keys(), 1, 129, 130, 143].toSorted((a, b) => a - b))
      const source = readFileSync(join(import.meta.dirname, "../../packages/cli/src/Failure.ts"), "utf8")
      const documented = statusesOf(Array.from(source.matchAll(/^ \* (\|.*)$/gm), ([, row = ""]) => cellsOf(row)))
      assert.deepStrictEqual([0, ...documented], listed)
    })))
})
