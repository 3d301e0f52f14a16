import { assert, describe, it } from "@effect/vitest"
import { execFileSync } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

const root = join(import.meta.dirname, "../..")

describe("the bundle that is published", () => {
  it("works without anything beside it", () => {
    const directory = mkdtempSync(join(tmpdir(), "bundle-"))
    try {
      const options = { encoding: "utf8", stdio: "pipe" } as const
      execFileSync(join(root, "node_modules/.bin/rolldown"), ["-c", "--dir", join(directory, "bundle")], {
        ...options,
        cwd: join(root, "packages/cli")
      })
      writeFileSync(join(directory, "package.json"), "{\"type\":\"module\"}")
      writeFileSync(
        join(directory, ".mcp.json"),
        JSON.stringify({ mcpServers: { everything: { command: "mcp-server-everything", args: ["stdio"] } } })
      )
      const run = (...words: ReadonlyArray<string>) =>
        execFileSync(process.execPath, [join(directory, "bundle/bin.js"), ...words], { ...options, cwd: directory })
      assert.strictEqual(run("--version"), "0.1.0\n")
      assert.strictEqual(run("call", "everything/echo", "message=hi"), "Echo: hi\n")
    } finally {
      rmSync(directory, { recursive: true })
    }
  })
})
