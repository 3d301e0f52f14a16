/**
 * The public API of `core` and `transports` is documented: every export and member has a comment, every module an example that runs, and
 * `docs/api.md` lists all of it.
 */
import { assert, describe, it } from "@effect/vitest"
import { globSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { packages, page } from "../tools/api.ts"
import { publicModules, summaryOf } from "../tools/api/publicApi.ts"

const root = join(import.meta.dirname, "..")
const modules = publicModules(packages)

/** The blocks of a text that Docs.test.ts executes. */
const executed = (text: string): ReadonlyArray<string> =>
  Array.from(text.matchAll(/```ts import\.meta\.vitest\n([\s\S]*?)```/g), ([, code = ""]) => code)

describe("the public API", () => {
  it("is read from the sources: modules, exports of internal modules, services and classes", () => {
    const sessions = modules.find(({ name }) => name === "Sessions")
    const service = sessions?.exports.find(({ name }) => name === "Sessions")
    assert.include(service?.members.map(({ name }) => name) ?? [], "Sessions.callTool")
    const facade = modules.find(({ name, package: owner }) => owner === "transports" && name === "McpSessions")
    assert.include(facade?.exports.map(({ name }) => name) ?? [], "isSessionError")
    assert.isAbove(modules.flatMap(({ exports }) => exports.flatMap(({ members }) => members)).length, 400)
  })

  it("has a doc comment on every module, export and member", () => {
    const bare = modules.flatMap((module) =>
      [module, ...module.exports, ...module.exports.flatMap(({ members }) => members)]
        .filter(({ comment = "" }) => summaryOf(comment) === "")
        .map(({ name }) => `${module.file} ${name}`)
    )
    assert.deepStrictEqual(bare, [])
  })

  it("has an executed example of every module, in its comments or on a page", () => {
    const pages = globSync(["docs/*.md", "README.md", "packages/*/README.md"], { cwd: root })
      .flatMap((file) => executed(readFileSync(join(root, file), "utf8")))
    const without = modules.filter(({ name, source }) =>
      executed(source).length === 0 && !pages.some((code) => new RegExp(`\\b${name}\\.`).test(code))
    )
    assert.deepStrictEqual(without.map(({ file }) => file), [])
  })

  it("is listed in docs/api.md, with the first sentence of each comment (pnpm api)", () => {
    assert.strictEqual(readFileSync(join(root, "docs/api.md"), "utf8"), page())
  })
})
