/**
 * The JSON Schema of `mcp-sessions.json` against the loader: what loads is accepted, and what is wrong is refused.
 */
import { assert, describe, it } from "@effect/vitest"
import schema from "@mcp-sessions/core/mcp-sessions.schema.json" with { type: "json" }
import { Ajv } from "@modelcontextprotocol/client/validators/ajv"
import { Effect, Result } from "effect"
import { keys } from "../../../tools/describedKeys.ts"
import { read } from "../../../tools/markdown.ts"
import { loadFrom } from "../../fixtures/memoryHost.ts"

const validate = new Ajv({ strict: true, strictTypes: false, strictRequired: false, allErrors: true }).compile(schema)

const isAccepted = (file: unknown) => Boolean(validate(file))

const environment = { A: "a", SEARCH_TOKEN: "t", URL: "https://h/", KIND: "sse" }

/** Whether a file loads without a problem. */
const loads = (file: unknown) =>
  Effect.map(
    loadFrom({ files: { "/work/mcp-sessions.json": file, "/work/.env": "" }, environment }, {
      files: ["mcp-sessions.json"]
    }),
    ({ problems, servers }) => problems.length === 0 && servers.every(({ definition }) => Result.isSuccess(definition))
  )

const http = { url: "https://h/mcp" }
const program = { command: "p" }

const good: ReadonlyArray<object> = [
  program,
  { command: ["p", "a", "b"] },
  { command: ["p"], args: ["a"] },
  { command: "p", args: ["${A}", ""], cwd: "${workspaceFolder}/x", envFile: ".env" },
  { command: "p", env: { A: "x", B: 1, C: true, D: null, E: "${env:A}", F: "${NONE:-d}", G: "{env:A}" } },
  { command: "p", environment: { A: "x" } },
  { command: "p", inheritEnv: false },
  { command: "p", inheritEnv: ["A", "AWS_*", "*"] },
  { command: "p", env: { NODE_OPTIONS: "-v" }, inheritEnv: ["LD_PRELOAD"], allowUnsafeEnv: true },
  { command: "p", env: { NODE_OPTIONS: null } },
  { command: "p", encoding: "latin1", encoding_error_handler: "replace", maxNoiseLines: 0 },
  { type: "local", command: "p" },
  http,
  { url: "HTTPS://h/mcp", transport: "streamable-http", sseFallback: true, cookies: true },
  { url: "https://h/${A}?x=1" },
  { url: "${URL}" },
  { httpUrl: "https://h/" },
  { type: "sse", serverUrl: "https://h/" },
  { type: "${KIND}", url: "https://h/" },
  { url: "wss://h/", headers: { "X-Key": "${A}" } },
  { transport: "ws", baseUrl: "ws://h/" },
  { ...http, headers: { Authorization: "Bearer ${A}" } },
  { ...http, auth: false },
  { ...http, auth: { clientId: "c", clientSecret: "${A}", grant: "client_credentials", redirectPort: 80 } },
  { ...http, auth: { clientId: "c", privateKey: "k", issuer: "https://i/", dpop: true } },
  { ...http, tls: { ca: ["a.pem", "b.pem"], cert: "c", key: "k", serverName: "s" } },
  { ...http, tls: { ca: "a.pem" } },
  { ...http, proxy: "none" },
  { ...http, proxy: "http://u:p@proxy:3128" },
  { ...http, proxy: "http://${A}:3128" },
  { ...http, addresses: "public", trusted: true, protocol: "legacy" },
  { ...http, requestTimeout: 5000, totalTimeout: "1.5 minutes", maxLifetime: 0, healthInterval: "0 seconds" },
  { ...http, timeout: "30 seconds", enabled: false },
  { ...http, rateLimit: { limit: 1, window: "1 second" }, maxInFlight: 1, maxMessageBytes: 1024 },
  { ...http, clientInfo: { name: "n", version: "1", title: "t" } }
]

const bad: ReadonlyArray<object> = [
  {},
  { disabled: true },
  { comand: "p" },
  { command: "" },
  { command: [] },
  { command: ["p", "a"], args: ["b"] },
  { command: "p", args: "a" },
  { command: "p", args: [1] },
  { command: "p", env: { A: {} } },
  { command: "p", env: { "A=": "x" } },
  { command: "p", env: {}, environment: {} },
  { command: "p", env: { node_options: "-v" } },
  { command: "p", env: { NODE_OPTIONS: "-v" }, allowUnsafeEnv: false },
  { command: "p", inheritEnv: ["LD_PRELOAD"] },
  { command: "p", inheritEnv: true },
  { command: "p", inheritEnv: ["A*B"] },
  { command: "p", url: "https://h/" },
  { command: "p", headers: {} },
  { command: "p", envFile: "" },
  { command: "p", encoding: "ascii" },
  { command: "p", $schema: "x" },
  { type: "stdio" },
  { type: "stdio", transport: "stdio", command: "p" },
  { type: "tcp", url: "https://h/" },
  { type: "sse" },
  { type: "sse", url: "wss://h/" },
  { type: "ws", url: "https://h/" },
  { type: "sse", url: "https://h/", sseFallback: true },
  { url: "h/mcp" },
  { url: "https://u:p@h/mcp" },
  { url: 1 },
  { url: "https://h/", httpUrl: "https://h/" },
  { url: "wss://h/", cookies: true },
  { ...http, args: [] },
  { ...http, env: {} },
  { ...http, headers: { "X Key": "v" } },
  { ...http, headers: { "MCP-Session-Id": "v" } },
  { ...http, headers: { "X-Key": 1 } },
  { ...http, headers: { "X-Key": "a\nb" } },
  { ...http, auth: true },
  { ...http, auth: { clientSecret: "s" } },
  { ...http, auth: { grant: "client_credentials", clientId: "c" } },
  { ...http, auth: { redirectPort: 0 } },
  { ...http, auth: { client_id: "c" } },
  { ...http, tls: { cert: "c" } },
  { ...http, tls: { ca: [] } },
  { ...http, tls: { rejectUnauthorized: false } },
  { ...http, proxy: "socks5://h" },
  { ...http, proxy: "http://h/path" },
  { ...http, addresses: "private" },
  { ...http, requestTimeout: 0 },
  { ...http, requestTimeout: 86_400_001 },
  { ...http, requestTimeout: "soon" },
  { ...http, requestTimeout: { seconds: 1 } },
  { ...http, timeout: 1, requestTimeout: 1 },
  { ...http, disabled: "true" },
  { ...http, disabled: true, enabled: true },
  { ...http, maxInFlight: 1.5 },
  { ...http, maxInFlight: "${A}" },
  { ...http, maxInFlight: 0 },
  { ...http, maxMessageBytes: 1023 },
  { ...http, rateLimit: { limit: 1 } },
  { ...http, rateLimit: { limit: 1, window: 0 } },
  { ...http, rateLimit: { limit: 1, window: 1, burst: 1 } },
  { ...http, clientInfo: { name: "n" } },
  { ...http, protocol: "2025-06-18" },
  { ...http, alwaysAllow: [] }
]

describe("the JSON Schema of mcp-sessions.json", () => {
  it.effect("accepts definitions that load", () =>
    Effect.gen(function*() {
      for (const definition of good) {
        const file = { servers: { s: definition } }
        assert.isTrue(yield* loads(file), JSON.stringify(definition))
        assert.isTrue(isAccepted(file), JSON.stringify([definition, validate.errors]))
      }
    }))

  it.effect("refuses definitions that do not load", () =>
    Effect.gen(function*() {
      for (const definition of bad) {
        const file = { servers: { s: definition } }
        assert.isFalse(yield* loads(file), JSON.stringify(definition))
        assert.isFalse(isAccepted(file), JSON.stringify(definition))
      }
    }))

  it.effect("accepts and refuses whole files as the loader does", () =>
    Effect.gen(function*() {
      const servers = { s: program }
      const files: ReadonlyArray<readonly [isGood: boolean, file: unknown]> = [
        [true, {}],
        [true, { servers: {} }],
        [true, { $schema: "./mcp-sessions.schema.json", mcpServers: servers }],
        [true, { servers, inputs: [{ id: "a", type: "pickString", options: ["x", { label: "Y", value: "y" }] }] }],
        [false, []],
        [false, { servers: [] }],
        [false, { servers: { s: "p" } }],
        [false, { servers, mcpServers: servers }],
        [false, { servers, server: {} }],
        [false, { servers, inputs: {} }],
        [false, { servers, inputs: [{ description: "d" }] }]
      ]
      for (const [isGood, file] of files) {
        assert.strictEqual(yield* loads(file), isGood, JSON.stringify(file))
        assert.strictEqual(isAccepted(file), isGood, JSON.stringify(file))
      }
    }))

  it.effect("accepts the file that docs/configuration.md shows", () =>
    Effect.gen(function*() {
      const [, text = ""] = /^```json\n([\s\S]*?)^```/m.exec(read("docs/configuration.md")) ?? []
      const file = JSON.parse(text)
      assert.isTrue(yield* loads(file))
      assert.isTrue(isAccepted(file))
    }))

  it("describes every key, with its default where all transports have the same", () => {
    const properties: Readonly<Record<string, { readonly description?: string; readonly default?: unknown }>> =
      schema.definitions.server.properties
    for (const { key } of keys) assert.isString(properties[key]?.description, key)
    assert.strictEqual(properties.requestTimeout?.default, "60 seconds")
    assert.strictEqual(properties.maxInFlight?.default, 64)
    assert.notProperty(properties.connectTimeout, "default")
  })
})
