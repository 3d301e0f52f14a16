/**
 * Authorization with servers of other people, as processes.
 */
import { assert, describe, it } from "@effect/vitest"
import { Consent } from "@mcp-sessions/transports"
import { Clock, Effect, Redacted, Schedule } from "effect"
import { once } from "node:events"
import { existsSync } from "node:fs"
import { createRequire } from "node:module"
import { connect, createServer } from "node:net"
import { fileURLToPath } from "node:url"
import { openSessions } from "../../fixtures/authorized.ts"
import { movableClock } from "../../fixtures/movableClock.ts"
import { fixture, until } from "../../fixtures/peer.ts"
import { linesThatBegin, startProgram } from "../../fixtures/programs.ts"

describe("oidc-provider with rotating refresh tokens", () => {
  it.live("signs a user in, and renews tokens that have ended, again and again", () =>
    Effect.gen(function*() {
      const { lines, reader } = yield* startProgram([fixture("oidcServer.mjs")])
      yield* Effect.promise(() => once(reader, "line"))
      const sessions = yield* openSessions({ url: lines[0] ?? "" })
      const clock = yield* Clock.Clock
      for (let round = 1; round <= 3; round++) {
        const names = [1, 2, 3, 4, 5].map((number) => `${round}-${number}`)
        yield* Effect.forEach(names, (name) => sessions.callTool("s", name), { concurrency: "unbounded" })
        const state = yield* sessions.signInState("s")
        const expiresAt = state._tag === "SignedIn" ? state.expiresAt ?? 0 : assert.fail(state._tag)
        yield* until(() => clock.currentTimeMillisUnsafe(), (now) => now > expiresAt)
      }
      yield* sessions.callTool("s", "last")
      // A registration that names the scope of the resource, and nothing else.
      assert.deepStrictEqual(linesThatBegin(lines, "refused").length, 1)
      assert.deepStrictEqual(linesThatBegin(lines, "failed"), [])
      assert.strictEqual(linesThatBegin(lines, "grant authorization_code").length, 1)
      assert.isAtLeast(linesThatBegin(lines, "grant refresh_token").length, 3)
      const tools = linesThatBegin(lines, "tool")
      assert.strictEqual(tools.length, 16)
      assert.strictEqual(new Set(tools).size, 16)
    }).pipe(Effect.scoped))
})

const freePort = Effect.promise(async () => {
  const server = createServer().listen(0)
  await once(server, "listening")
  const address = server.address()
  server.close()
  await once(server, "close")
  return typeof address === "object" && address !== null ? address.port : 0
})

describe("the example server of the SDK with OAuth", () => {
  it.live("signs a user in, and again once the token has ended, as it issues no refresh token", () =>
    Effect.gen(function*() {
      const program = createRequire(import.meta.url).resolve("@modelcontextprotocol/sdk/server/mcp.js")
        .replace(/dist\/.*$/, "dist/esm/examples/server/simpleStreamableHttp.js")
      const [port, authPort] = [yield* freePort, yield* freePort]
      const { lines } = yield* startProgram([program, "--oauth"], { MCP_PORT: `${port}`, MCP_AUTH_PORT: `${authPort}` })
      yield* until(() => lines.filter((line) => line.includes("listening on port")).length, (count) => count === 2)
      const { clock, move } = yield* movableClock
      yield* Effect.provideService(
        Effect.gen(function*() {
          const sessions = yield* openSessions({ url: `http://localhost:${port}/mcp` })
          const greet = sessions.callTool("s", "greet", { name: "Ada" })
          assert.include(JSON.stringify(yield* greet), "Hello, Ada!")
          const first = yield* sessions.signInState("s")
          assert.deepInclude(first, { _tag: "SignedIn", isRenewable: false })
          move(3_600_000)
          assert.include(JSON.stringify(yield* greet), "Hello, Ada!")
          const second = yield* sessions.signInState("s")
          assert.notDeepEqual(second, first)
        }),
        Clock.Clock,
        clock
      )
    }).pipe(Effect.scoped))
})

/** Installed by `npx -y pnpm@12 foreign`. */
const proxy = fileURLToPath(new URL("../../foreign/node_modules/mcp-proxy/dist/bin/mcp-proxy.mjs", import.meta.url))

describe("mcp-proxy with a key", () => {
  it.live.skipIf(!existsSync(proxy))(
    "is used with the key as a header, and asks for authorization without it",
    () =>
      Effect.gen(function*() {
        const port = yield* freePort
        const server = createRequire(import.meta.url).resolve("@modelcontextprotocol/server-everything/dist/index.js")
        yield* startProgram([
          proxy,
          "--port",
          `${port}`,
          "--apiKey",
          "key-of-the-proxy",
          "--",
          process.execPath,
          server,
          "stdio"
        ])
        const url = `http://127.0.0.1:${port}/mcp`
        const credentials = () => Effect.succeed({ headers: { "x-api-key": Redacted.make("key-of-the-proxy") } })
        yield* Effect.retry(Effect.tryPromise(() => once(connect(port, "127.0.0.1"), "connect")), Schedule.spaced(50))
        const withKey = yield* openSessions({ url, credentials })
        const result = yield* withKey.callTool("s", "get-sum", { a: 2, b: 3 })
        assert.include(JSON.stringify(result), "The sum of 2 and 3 is 5")
        const without = yield* openSessions({ url, consent: Consent.layerHeadless })
        const error = yield* Effect.flip(without.callTool("s", "get-sum", { a: 2, b: 3 }))
        if (error._tag !== "SessionError") return assert.fail(error._tag)
        assert.include(["AuthRequired", "AuthorizationFailed"], error.reason._tag)
        assert.strictEqual(error.reason.delivery, "Rejected")
      }).pipe(Effect.scoped)
  )
})
