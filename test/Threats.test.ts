import { assert, describe, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import { file, page } from "../tools/rows.ts"

describe("docs/threats.md", () => {
  it("names the rows that the titles of the tests do; otherwise run pnpm rows", () => {
    assert.strictEqual(readFileSync(file, "utf8"), page())
  })
})
