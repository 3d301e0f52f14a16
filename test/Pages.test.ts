/**
 * The pages of `docs` say what the code does: the decision table, the errors, the telemetry, and the links between pages.
 */
import { assert, describe, it } from "@effect/vitest"
import * as core from "@mcp-sessions/core"
import { Host, SessionError, Telemetry } from "@mcp-sessions/core"
import * as transports from "@mcp-sessions/transports"
import { TokenStore } from "@mcp-sessions/transports"
import { existsSync, globSync, readFileSync, statSync } from "node:fs"
import { dirname, join } from "node:path"
import { dashboard } from "../tools/dashboard.ts"
import { decisionTable, samples } from "../tools/decisionTable.ts"
import { cellsOf, region } from "../tools/markdown.ts"
import { telemetryTables } from "../tools/telemetryTables.ts"

const root = join(import.meta.dirname, "..")
const read = (file: string): string => readFileSync(join(root, file), "utf8")

/** The cells of the rows of a table, whatever its columns are padded with. */
const rowsOf = (table: string) => table.split("\n").map(cellsOf).filter(([first = ""]) => !first.startsWith("--"))

describe("docs/reliability.md", () => {
  it("has the decision table that the delivery rule gives (pnpm decisions)", () => {
    assert.deepStrictEqual(rowsOf(region("docs/reliability.md", "decisions")), rowsOf(decisionTable()))
  })

  it("decides on every reason of the public union", () => {
    const tags = SessionError.Reason.members.map(({ identifier }) => identifier.split("/").at(-1) ?? "")
    assert.deepStrictEqual(new Set<string>(samples.map(([{ _tag }]) => _tag)), new Set(tags))
  })

  it("lets no tool call that may have run be sent again", () => {
    for (const [[, , delivery, , tool = ""], [reason]] of zip(rowsOf(decisionTable()).slice(1), samples)) {
      assert.strictEqual(delivery, `\`${reason.delivery}\``)
      if (reason.delivery === "Unknown" || reason.delivery === "Answered") assert.match(tool, /^\*\*never\*\*/)
    }
  })
})

const zip = <A, B>(left: ReadonlyArray<A>, right: ReadonlyArray<B>): ReadonlyArray<readonly [A, B]> => {
  assert.strictEqual(left.length, right.length)
  return left.map((one, index) => [one, right[index] as B])
}

/** The names of all public errors, reasons, problems and warnings. Services are classes too, and have no identifier of a schema. */
const errors: ReadonlySet<string> = new Set(
  [...Object.values(core), ...Object.values(transports)].flatMap((module) =>
    Object.entries(module).flatMap(([name, value]: readonly [string, unknown]) =>
      typeof value === "function" && value.toString().startsWith("class") &&
        (value.prototype instanceof Error || ("identifier" in value && value.identifier !== undefined))
        ? [name]
        : []
    )
  )
)

describe("docs/troubleshooting.md", () => {
  const page = read("docs/troubleshooting.md")
  const sections = new Map(
    page.split(/^##+ /m).slice(1).map((text) => [text.slice(0, text.indexOf("\n")), text.slice(text.indexOf("\n"))])
  )

  it("has a section for every error, reason, problem and warning, and for no other", () => {
    const titles = [...sections.keys()].filter((title) => !title.includes(" "))
    assert.deepStrictEqual(titles.toSorted(), [...errors].toSorted())
  })

  it("says of every reason and problem what it means, and what to do", () => {
    const tags = [...errors].filter((name) => !["ConfigError", "SessionError", "ToolError"].includes(name))
    for (const tag of tags) assert.match(sections.get(tag) ?? "", /^\n\n[\w`][\s\S]+\n\n\*\*What to do:\*\* \w/, tag)
  })

  it("names the reasons of files and token stores, which are literals", () => {
    const literals = {
      FileRefused: Host.FileRefused.fields.reason.literals,
      TokenStoreFailed: TokenStore.TokenStoreFailed.fields.reason.literals
    }
    for (const [name, reasons] of Object.entries(literals)) {
      for (const reason of reasons) assert.include(sections.get(name), `\`${reason}\``)
    }
  })
})

describe("docs/telemetry.md", () => {
  for (const [name, table] of Object.entries(telemetryTables)) {
    it(`has the ${name} that the code has (pnpm telemetry)`, () => {
      assert.deepStrictEqual(rowsOf(region("docs/telemetry.md", name)), rowsOf(table))
    })
  }
})

describe("examples/grafana.json", () => {
  const { panels, templating } = JSON.parse(read("examples/grafana.json"))

  it("is what the schema of Grafana allows (pnpm dashboard)", () => {
    assert.deepStrictEqual(JSON.parse(read("examples/grafana.json")), JSON.parse(JSON.stringify(dashboard)))
  })

  const queries: ReadonlyArray<string> = [
    ...panels.flatMap(({ targets }: { readonly targets: ReadonlyArray<{ readonly expr: string }> }) =>
      targets.map(({ expr }) => expr)
    ),
    ...templating.list.map(({ query }: { readonly query: string }) => query)
  ]

  it("shows all counters that say that something is wrong", () => {
    for (const name of ["retries", "losses", "refused", "fallbacks", "cleanupFailures", "openCircuits"] as const) {
      assert.isTrue(queries.some((query) => query.includes(Telemetry.metrics[name].id)), name)
    }
  })
})

describe("the pages", () => {
  const files = globSync(["*.md", "docs/**/*.md", "packages/*/README.md", "examples/*.md"], { cwd: root })
    .filter((file) => !file.includes("node_modules"))

  /** The anchors of a page: its headings in small letters, with dashes. */
  const anchorsOf = (file: string) =>
    new Set(
      Array.from(read(file).matchAll(/^#+ (.+)$/gm), ([, title = ""]) =>
        title.toLowerCase().replaceAll(/[^\p{L}\p{N} _-]/gu, "").replaceAll(" ", "-"))
    )

  it("are all listed in docs/README.md", () => {
    const index = read("docs/README.md")
    const pages = globSync("*.md", { cwd: join(root, "docs") }).filter((file) => file !== "README.md")
    assert.deepStrictEqual(pages.filter((file) => !index.includes(`](${file})`)), [])
  })

  it("link to files and headings that exist", () => {
    const broken = files.flatMap((file) =>
      Array.from(read(file).matchAll(/\]\((?!https?:)([^)\s#]*)(?:#([^)\s]+))?\)/g)).filter(([, path = "", anchor]) => {
        const target = path === "" ? file : join(dirname(file), path)
        if (!existsSync(join(root, target))) return true
        return anchor !== undefined && statSync(join(root, target)).isFile() && !anchorsOf(target).has(anchor)
      }).map(([link]) => `${file} ${link}`)
    )
    assert.deepStrictEqual(broken, [])
    assert.isAbove(files.length, 20)
  })
})
