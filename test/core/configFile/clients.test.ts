/**
 * Files of every client, written from its documentation with the mistakes that people make, and the exact diagnosis of each.
 *
 * `expected.json` beside a file holds the definitions without defaults, the problems and the warnings.
 */
import { assert, describe, it } from "@effect/vitest"
import type { ConfigFile } from "@mcp-sessions/core"
import { ServerConfig } from "@mcp-sessions/core"
import { Duration, Effect, Equal, Redacted, Result } from "effect"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { loadFrom } from "../../fixtures/memoryHost.ts"

const root = join(import.meta.dirname, "../../fixtures/config")

const plain = (value: unknown): unknown =>
  Redacted.isRedacted(value)
    ? Redacted.value(value)
    : Duration.isDuration(value)
    ? Duration.toMillis(value)
    : Array.isArray(value)
    ? value.map(plain)
    : typeof value === "object" && value !== null
    ? Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item)]))
    : value

/** The keys of a definition that do not have their defaults. */
const told = (config: ServerConfig.ServerConfig) =>
  Effect.map(
    ServerConfig.decode(
      config.transport === "stdio"
        ? { transport: config.transport, command: config.command }
        : { transport: config.transport, url: config.url }
    ),
    (bare) => {
      const defaults: Record<string, unknown> = { ...bare }
      const entries = Object.entries(config).filter(([key, value]) =>
        ["transport", "command", "url"].includes(key) || !Equal.equals(value, defaults[key])
      )
      return plain(Object.fromEntries(entries))
    }
  )

const place = (
  { path, position }: {
    readonly path: ReadonlyArray<string | number>
    readonly position?: ConfigFile.ConfiguredServer["position"] | undefined
  }
) => `${position?.line}:${position?.column} ${path.join(".")}`

const diagnosis = Effect.fnUntraced(function*({ problems, servers, warnings }: ConfigFile.Configuration) {
  const definitions = yield* Effect.forEach(servers, ({ definition, name }) =>
    Result.isFailure(definition)
      ? Effect.succeed([])
      : Effect.map(told(definition.success), (config) => [[name, config] as const]))
  return {
    servers: Object.fromEntries(definitions.flat()),
    problems: problems.flatMap(({ error }) =>
      error.problems.map((problem) => `${place(problem)}: ${problem._tag}: ${problem.description}`)
    ),
    warnings: warnings.map((warning) => `${place(warning)}: ${warning._tag}: ${warning.description}`)
  }
})

/** Where the program of a folder keeps its file. */
const paths: Readonly<Record<string, string>> = {
  "claude-code": ".mcp.json",
  codex: ".codex/config.toml",
  cursor: ".cursor/mcp.json",
  gemini: ".gemini/settings.json",
  vscode: ".vscode/mcp.json",
  zed: ".zed/settings.json"
}

describe("the configuration file of", () => {
  for (const client of readdirSync(root)) {
    it.effect(`${client} is translated, with all its problems and warnings`, () =>
      Effect.gen(function*() {
        const file = readdirSync(join(root, client)).find((name) => name !== "expected.json") ?? ""
        const path = paths[client] ?? file
        const configuration = yield* loadFrom({
          files: {
            [`/work/${path}`]: readFileSync(join(root, client, file), "utf8"),
            "/work/.env": "FROM_FILE=1\nGONE=1\n"
          },
          environment: { MY_KEY: "k", FIGMA_TOKEN: "t", FIGMA_KEY: "f", MCP_SESSIONS_INPUT_KEY: "i" }
        }, { files: [path] })
        const expected = JSON.parse(readFileSync(join(root, client, "expected.json"), "utf8"))
        assert.deepStrictEqual(yield* diagnosis(configuration), expected)
        assert.strictEqual(configuration.files[0]?.client, client.replace(/-v\d$/, ""))
      }))
  }
})
