/**
 * Credentials of owners: a connection is shared only by requests with equal credentials.
 */
import { assert, describe, it } from "@effect/vitest"
import { ConfigError, type Credentials, type ServerConfig, SessionError, Sessions, Transport } from "@mcp-sessions/core"
import { Effect, Equal, Layer, Redacted } from "effect"
import { identityOf } from "../../packages/core/src/internal/registry/registryOf.ts"
import * as Scripted from "../fixtures/scripted.ts"

const servers = {
  http: { transport: "streamable_http" as const, url: "http://localhost/", headers: { Authorization: "own", a: "b" } },
  stdio: { transport: "stdio" as const, command: "s", args: [], healthInterval: 0 }
}

const setting = (credentials: Credentials.CredentialsProvider) => {
  const script = Scripted.make({})
  const definitions: Array<ServerConfig.ServerDefinition> = []
  const layer = Sessions.layer({ servers, credentials }).pipe(
    Layer.provide(Layer.succeed(Transport.Transports, {
      transport: (definition) => {
        definitions.push(definition)
        return script.transport
      }
    }))
  )
  return { script, definitions, layer }
}

const secretsOf = (record: Readonly<Record<string, Redacted.Redacted<string>>>) =>
  Object.fromEntries(Object.entries(record).map(([name, secret]) => [name, Redacted.value(secret)]))

const bearer = (token: string) => ({ headers: { authorization: Redacted.make(token) } })

describe("credentials of owners", () => {
  it.effect("replace the credentials of the definition, and give each owner its own connection", () => {
    const { definitions, layer, script } = setting(({ owner }) => Effect.succeed(bearer(`token of ${owner}`)))
    return Effect.gen(function*() {
      const { callTool } = yield* Sessions.Sessions
      for (const owner of ["a", "b", "a", "b"]) yield* callTool("http", "t", {}, { owner })
      assert.strictEqual(script.connects.length, 2)
      assert.deepStrictEqual(
        definitions.map(({ config }) => "headers" in config ? secretsOf(config.headers) : {}),
        [{ a: "b", authorization: "token of a" }, { a: "b", authorization: "token of b" }]
      )
    }).pipe(Effect.provide(layer))
  })

  it.effect("open a new connection when they change, and the old connection closes with its last session", () => {
    let token = "old"
    const { layer, script } = setting(() => Effect.sync(() => bearer(token)))
    return Effect.gen(function*() {
      const sessions = yield* Sessions.Sessions
      const { callTool, get } = sessions
      const identity = identityOf({ service: sessions, server: "http", owner: "default" })
      const before = yield* identity
      yield* Effect.scoped(Effect.gen(function*() {
        const held = yield* get("http")
        token = "new"
        yield* callTool("http", "t")
        assert.strictEqual(script.open, 2)
        yield* held.callTool("t")
        assert.strictEqual(script.connects.length, 2)
      }))
      // The old connection closes without waiting for `idleTimeToLive`.
      assert.strictEqual(script.open, 1)
      const after = yield* identity
      assert.isFalse(Equal.equals(before, after))
      assert.isTrue(Equal.equals(after, yield* identity))
      assert.notInclude(`${JSON.stringify(after)} ${String(after)}`, "new")
    }).pipe(Effect.provide(layer))
  })

  it.effect("are validated like definitions before a connect", () => {
    const bad = [
      ["http", { headers: { Host: Redacted.make("x") } }, "ReservedHeader $.credentials.http.headers.Host"],
      ["http", { headers: { a: Redacted.make("x\r\ny: z") } }, "InvalidValue $.credentials.http.headers.a"],
      ["http", { env: { A: Redacted.make("b") } }, "MisplacedKey $.credentials.http.env"],
      ["stdio", { headers: { a: Redacted.make("b") } }, "MisplacedKey $.credentials.stdio.headers"],
      ["stdio", { env: { NODE_OPTIONS: Redacted.make("b") } }, "UnsafeVariable $.credentials.stdio.env.NODE_OPTIONS"]
    ] as const
    let given: Credentials.Credentials = {}
    const { layer, script } = setting(() => Effect.sync(() => given))
    return Effect.gen(function*() {
      const { callTool } = yield* Sessions.Sessions
      for (const [server, credentials, problem] of bad) {
        given = credentials
        const error = yield* Effect.flip(callTool(server, "t"))
        assert(error._tag === "ConfigError")
        assert.deepStrictEqual(
          error.problems.map(({ _tag, path }) => `${_tag} ${ConfigError.jsonPath(path)}`),
          [problem]
        )
        assert.notInclude(error.message, "x\r\ny")
      }
      assert.deepStrictEqual(script.connects, [])
    }).pipe(Effect.provide(layer))
  })

  it.effect("fail only the requests of their own owner when the provider fails", () => {
    const { layer } = setting(({ owner }) =>
      owner === "locked out"
        ? Effect.fail(new SessionError.CredentialsFailed({ owner }))
        : Effect.succeed(bearer("x"))
    )
    return Effect.gen(function*() {
      const { callTool, status } = yield* Sessions.Sessions
      yield* callTool("http", "t")
      const error = yield* Effect.flip(callTool("http", "t", {}, { owner: "locked out" }))
      assert(error._tag === "SessionError")
      assert.deepInclude(error.reason, { _tag: "CredentialsFailed", delivery: "NotSent", owner: "locked out" })
      assert.strictEqual((yield* status("http")).health.errorCount, 0)
    }).pipe(Effect.provide(layer))
  })

  it.effect("apply to sessions from `open` too", () => {
    const { definitions, layer, script } = setting(({ owner }) => Effect.succeed(bearer(owner)))
    return Effect.gen(function*() {
      const { open } = yield* Sessions.Sessions
      yield* Effect.scoped(Effect.gen(function*() {
        yield* open("http", { owner: "a" })
        yield* open("http", { owner: "a" })
        assert.strictEqual(script.open, 2)
        // Both connections share one transport.
        assert.strictEqual(definitions.length, 1)
      }))
      assert.strictEqual(script.open, 0)
    }).pipe(Effect.provide(layer))
  })
})
