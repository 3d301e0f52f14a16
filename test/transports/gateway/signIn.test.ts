/**
 * Signing in to a gateway, from a 401 to a call, with an authorization server of other people.
 */
import { assert, describe, it } from "@effect/vitest"
import {
  Client,
  type OAuthClientProvider,
  StreamableHTTPClientTransport,
  UnauthorizedError
} from "@modelcontextprotocol/client"
import { Clock, Effect } from "effect"
import { once } from "node:events"
import { visit } from "../../fixtures/agree.ts"
import { openSessions } from "../../fixtures/authorized.ts"
import { startGateway } from "../../fixtures/gateway.ts"
import { fixture, http, until } from "../../fixtures/peer.ts"
import { linesThatBegin, startProgram } from "../../fixtures/programs.ts"

/** Starts a gateway over one server, and the authorization server that it trusts. */
const start = Effect.gen(function*() {
  const { lines, reader } = yield* startProgram([fixture("oidcServer.mjs"), "jwt"])
  yield* Effect.promise(() => once(reader, "line"))
  const { config, ledger } = yield* http("v1").start
  const { url } = yield* startGateway(
    { only: { ...config, protocol: "legacy" } },
    { jwt: { issuer: lines[0] ?? "", requiredScopes: ["read"], clockTolerance: 0 } }
  )
  return { ledger, lines, url }
})

/** A provider of the SDK that keeps everything in memory, and whose user agrees at once. */
const makeProvider = () => {
  const redirectUrl = "http://127.0.0.1:33418/callback"
  const kept: Record<string, unknown> = {}
  let answer: URLSearchParams | undefined
  const provider = {
    redirectUrl,
    clientMetadata: { redirect_uris: [redirectUrl], client_name: "v2", token_endpoint_auth_method: "none" },
    clientInformation: () => kept.client,
    saveClientInformation: (client: unknown) => void (kept.client = client),
    tokens: () => kept.tokens,
    saveTokens: (tokens: unknown) => void (kept.tokens = tokens),
    codeVerifier: () => kept.verifier,
    discoveryState: () => kept.discovery,
    saveDiscoveryState: (discovery: unknown) => void (kept.discovery = discovery),
    saveCodeVerifier: (verifier: string) => void (kept.verifier = verifier),
    redirectToAuthorization: async (page: URL) => {
      answer = (await visit(page)).searchParams
    }
  } as OAuthClientProvider
  return { provider, answer: () => answer ?? assert.fail("nobody was asked") }
}

describe("a gateway with oidc-provider", () => {
  it.live("is signed in to by our own client, which keeps its session while its tokens are renewed", () =>
    Effect.gen(function*() {
      const { ledger, lines, url } = yield* start
      const sessions = yield* openSessions({ url })
      const clock = yield* Clock.Clock
      for (let round = 1; round <= 3; round++) {
        yield* Effect.forEach(
          [1, 2, 3],
          (number) => sessions.callTool("s", "count", { id: `${round}-${number}` }),
          { concurrency: "unbounded" }
        )
        const state = yield* sessions.signInState("s")
        const expiresAt = state._tag === "SignedIn" ? state.expiresAt ?? 0 : assert.fail(state._tag)
        yield* until(() => clock.currentTimeMillisUnsafe(), (now) => now > expiresAt)
      }
      yield* sessions.callTool("s", "count", { id: "last" })
      assert.lengthOf(linesThatBegin(lines, "grant authorization_code"), 1)
      assert.isAtLeast(linesThatBegin(lines, "grant refresh_token").length, 3)
      assert.strictEqual(new Set(ledger("count")).size, 10)
      assert.lengthOf(ledger("count"), 10)
      // One that follows the lists, and that of the client.
      assert.lengthOf(ledger("session"), 2)
    }).pipe(Effect.scoped))

  it.live("is signed in to by the client of the SDK", () =>
    Effect.gen(function*() {
      const { ledger, url } = yield* start
      const { answer, provider } = makeProvider()
      const transport = () => new StreamableHTTPClientTransport(new URL(url), { authProvider: provider })
      const client = new Client({ name: "v2", version: "1" })
      yield* Effect.addFinalizer(() => Effect.promise(() => client.close()))
      yield* Effect.promise(async () => {
        const first = transport()
        await client.connect(first).then(
          () => assert.fail("it was expected to need a sign-in"),
          (error: unknown) => assert.instanceOf(error, UnauthorizedError)
        )
        await first.finishAuth(answer())
        await client.connect(transport())
        await client.callTool({ name: "count", arguments: { id: "1" } })
      })
      assert.deepStrictEqual(ledger("count"), ["1"])
    }).pipe(Effect.scoped))
})
