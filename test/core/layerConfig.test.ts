/**
 * Definitions whose values come from a `ConfigProvider`.
 */
import { assert, describe, it } from "@effect/vitest"
import { RetryPolicy, Sessions } from "@mcp-sessions/core"
import { Transports } from "@mcp-sessions/transports"
import { Cause, Config, ConfigProvider, Effect, Layer, Redacted, Schema } from "effect"
import { fixture } from "../fixtures/fixture.ts"
import { makeLedger } from "../fixtures/ledger.ts"
import * as Http from "../fixtures/scriptedHttp.ts"

type Options = Parameters<typeof Sessions.layerConfig>[0]

const provide =
  (servers: Options["servers"], provider: ConfigProvider.ConfigProvider) =>
  <A, E>(effect: Effect.Effect<A, E, Sessions.Sessions>) =>
    effect.pipe(
      Effect.provide(Sessions.layerConfig({ servers, retry: RetryPolicy.never }).pipe(Layer.provide(Transports.layer))),
      Effect.provideService(ConfigProvider.ConfigProvider, provider)
    )

const call = (server: string, tool: string, args?: Record<string, unknown>) =>
  Effect.flatMap(Sessions.Sessions, ({ callTool }) => callTool(server, tool, args))

const problemsOf = (servers: Options["servers"], settings: unknown) =>
  Effect.map(
    Effect.flip(provide(servers, ConfigProvider.fromUnknown(settings))(Effect.void)),
    ({ message, problems }) => ({
      message,
      problems: problems.map((
        problem
      ) => [problem._tag, problem.server, problem.path.join("."), "setting" in problem && problem.setting])
    })
  )

describe("Sessions.layerConfig", () => {
  it.live("takes URL, token and limits of a real server from settings", () =>
    Effect.gen(function*() {
      const server = yield* Http.start(({ request, response }) => {
        if (request.headers.authorization === "Bearer s3cret-token") return false
        response.writeHead(401).end()
        return true
      })
      const provider = ConfigProvider.fromUnknown({
        files: { url: server.url, token: "s3cret-token", timeout: "5 seconds", limit: 3 }
      })
      const { content } = yield* call("files", "any").pipe(provide({
        files: {
          protocol: "legacy",
          url: Config.nested(Config.String("url"), "files"),
          headers: {
            authorization: Config.map(
              Config.nested(Config.Redacted("token"), "files"),
              (token) => Redacted.make(`Bearer ${Redacted.value(token)}`)
            )
          },
          requestTimeout: Config.nested(Config.String("timeout"), "files"),
          maxInFlight: Config.nested(Config.Int("limit"), "files")
        }
      }, provider))
      assert.deepStrictEqual(content, [{ type: "text", text: "ok" }])
    }).pipe(Effect.scoped))

  it.live("takes command, arguments and variables of a real process from the environment", () =>
    Effect.gen(function*() {
      const { file } = yield* makeLedger
      const env = { SERVER_PROGRAM: process.execPath, SERVER_LEDGER: file }
      const { content } = yield* call("s", "echo", { message: "hi" }).pipe(provide({
        s: {
          command: Config.String("SERVER_PROGRAM"),
          args: [fixture("stdioServer.ts"), "v1", Config.String("SERVER_LEDGER")],
          env: { MODE: Config.withDefault(Config.String("SERVER_MODE"), "quiet") },
          protocol: "legacy"
        }
      }, ConfigProvider.fromEnv({ env })))
      assert.deepStrictEqual(content, [{ type: "text", text: "hi" }])
    }).pipe(Effect.scoped))

  it.live("takes all servers from one variable that holds JSON, and checks them like a file", () =>
    Effect.gen(function*() {
      const server = yield* Http.start(() => false)
      const json = Schema.fromJsonString(Schema.Record(Schema.String, Schema.Unknown))
      const servers = Config.schema(json, "MCP_SERVERS")
      const provider = (value: unknown) => ConfigProvider.fromEnv({ env: { MCP_SERVERS: JSON.stringify(value) } })
      const { content } = yield* call("files", "any").pipe(
        provide(servers, provider({ files: { url: server.url, protocol: "legacy" } }))
      )
      assert.deepStrictEqual(content, [{ type: "text", text: "ok" }])
      const error = yield* Effect.flip(provide(servers, provider({ files: { ulr: server.url } }))(Effect.void))
      assert.deepStrictEqual(error.problems.map(({ _tag, server }) => [_tag, server]), [
        ["MissingTransport", "files"],
        ["UnknownKey", "files"]
      ])
    }).pipe(Effect.scoped))

  it.effect("fails with all settings that are missing or cannot be used, and shows no value", () =>
    Effect.gen(function*() {
      const { message, problems } = yield* problemsOf({
        one: {
          url: Config.String("URL"),
          headers: { authorization: Config.Redacted("TOKEN") },
          maxInFlight: Config.Int("LIMIT")
        },
        two: { command: "server", args: ["--port", Config.Port("PORT")] as never },
        three: Config.map(
          Config.all({ command: Config.String("PROGRAM"), cwd: Config.String("FOLDER") }),
          (definition) => definition
        )
      }, { LIMIT: "s3cret", PORT: "s3cret", FOLDER: "/" })
      assert.deepStrictEqual(problems, [
        ["UnresolvedConfig", "one", "servers.one.url", "URL"],
        ["UnresolvedConfig", "one", "servers.one.headers.authorization", "TOKEN"],
        ["UnresolvedConfig", "one", "servers.one.maxInFlight", "LIMIT"],
        ["UnresolvedConfig", "two", "servers.two.args.1", "PORT"],
        ["UnresolvedConfig", "three", "servers.three", "PROGRAM"]
      ])
      assert.notInclude(message, "s3cret")
    }))

  it.effect("fails with the problems of definitions once all settings have values", () =>
    Effect.gen(function*() {
      const { message, problems } = yield* problemsOf({
        s: { url: Config.String("URL"), maxInFlight: Config.Int("LIMIT") }
      }, { URL: "s3cret", LIMIT: -1 })
      assert.deepStrictEqual(problems, [
        ["InvalidUrl", "s", "servers.s.url", false],
        ["InvalidValue", "s", "servers.s.maxInFlight", false]
      ])
      assert.notInclude(message, "s3cret")
    }))

  it.effect("says when the provider itself cannot be read", () =>
    Effect.gen(function*() {
      const provider = ConfigProvider.make(() => Effect.fail(new ConfigProvider.SourceError({ message: "s3cret" })))
      const error = yield* Effect.flip(provide({ s: { url: Config.String("URL") } }, provider)(Effect.void))
      assert.strictEqual(
        error.message,
        "server \"s\" at $.servers.s.url: the ConfigProvider failed, or the Config itself"
      )
    }))

  it.effect("shows nothing of what a provider or a Config threw", () =>
    Effect.gen(function*() {
      const secret = "s3cret"
      const throwing = ConfigProvider.make(() => {
        throw new Error(secret)
      })
      const dying = ConfigProvider.make(() => Effect.die(new Error(secret)))
      const broken = Config.map(Config.String("URL"), (text): string => {
        throw new Error(text)
      })
      for (
        const [provider, url] of [
          [throwing, Config.String("URL")],
          [dying, Config.String("URL")],
          [ConfigProvider.fromUnknown({ URL: secret }), broken]
        ] as const
      ) {
        const exit = yield* Effect.exit(provide({ s: { url } }, provider)(Effect.void))
        assert(exit._tag === "Failure")
        const error = Cause.findErrorOption(exit.cause)
        assert(error._tag === "Some")
        assert.strictEqual(error.value.problems[0]?._tag, "UnresolvedConfig")
        assert.notInclude(Cause.pretty(exit.cause), secret)
      }
    }))

  it.effect("leaves values that are no Config as they are, optional settings included", () =>
    Effect.gen(function*() {
      const names = yield* Effect.map(Sessions.Sessions, ({ names }) => names).pipe(provide({
        s: {
          url: "https://example.com/mcp",
          headers: { "x-key": Redacted.make("k") },
          maxInFlight: Config.withDefault(Config.Int("LIMIT"), undefined)
        }
      }, ConfigProvider.fromUnknown({})))
      assert.deepStrictEqual(names, ["s"])
    }))
})
