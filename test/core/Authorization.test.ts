/**
 * The port through which core signs owners in and out.
 */
import { assert, describe, it } from "@effect/vitest"
import { Authorization, McpSessions, RetryPolicy, SessionError, Sessions } from "@mcp-sessions/core"
import { Deferred, Effect, Fiber, Layer, type Scope } from "effect"
import { TestClock } from "effect/testing"
import * as Scripted from "../fixtures/scripted.ts"

const servers = {
  s: { transport: "stdio" as const, command: "s", args: [], healthInterval: 0 },
  other: { transport: "stdio" as const, command: "s", args: [], healthInterval: 0 }
}

const refused = new SessionError.AuthRequired({ status: 401 })

/** Owners sign in by their name. `signIn` can be replaced. */
const setting = (options: {
  readonly signIn?: Effect.Effect<void, SessionError.AuthRequired>
  readonly connect?: (isSignedIn: boolean, attempt: number) => Effect.Effect<void, SessionError.Reason, Scope.Scope>
  readonly answer?: (isSignedIn: boolean, number: number) => Effect.Effect<unknown, SessionError.Reason>
}) => {
  const signedIn = new Set<string>()
  const signIns: Array<string> = []
  const script = Scripted.make({
    connect: (attempt) => options.connect?.(signedIn.size > 0, attempt) ?? Effect.void,
    answer: ({ number }) => options.answer?.(signedIn.size > 0, number) ?? Effect.succeed({ content: [] })
  })
  const authorization = Layer.succeed(Authorization.Authorization, {
    signIn: ({ definition, owner }) =>
      Effect.suspend(() => {
        signIns.push(`${owner}@${definition.name}`)
        return options.signIn ?? Effect.void
      }).pipe(Effect.tap(() => Effect.sync(() => signedIn.add(owner)))),
    signOut: ({ owner }) => Effect.sync(() => void signedIn.delete(owner)),
    state: ({ owner }) =>
      Effect.sync(() =>
        signedIn.has(owner)
          ? {
            _tag: "SignedIn" as const,
            issuer: "https://issuer.example",
            scope: undefined,
            expiresAt: undefined,
            isRenewable: false
          }
          : { _tag: "SignedOut" as const }
      )
  })
  const layer = Sessions.layer({ servers, retry: RetryPolicy.never }).pipe(
    Layer.provide(script.layer),
    Layer.provide(authorization)
  )
  return { script, signIns, signedIn, layer, authorization }
}

const needsSignIn = (isSignedIn: boolean) => isSignedIn ? Effect.void : Effect.fail(refused)

describe("a connect that the server refuses for lack of credentials", () => {
  it.effect("waits for one sign-in for all callers, and is made again", () => {
    const { layer, script, signIns } = setting({ connect: needsSignIn })
    return Effect.gen(function*() {
      const { callTool } = yield* Sessions.Sessions
      yield* Effect.all(Array.from({ length: 100 }, () => callTool("s", "t")), { concurrency: "unbounded" })
      assert.deepStrictEqual(signIns, ["default@s"])
      assert.strictEqual(script.connects.length, 2)
    }).pipe(Effect.provide(layer))
  })

  it.effect("does not count the time of the sign-in as the time of the connect", () => {
    const signed = Deferred.makeUnsafe<void>()
    const { layer } = setting({ connect: needsSignIn, signIn: Deferred.await(signed) })
    return Effect.gen(function*() {
      const { callTool } = yield* Sessions.Sessions
      const call = yield* Effect.forkChild(callTool("s", "t"))
      yield* TestClock.adjust("4 minutes")
      yield* Deferred.succeed(signed, undefined)
      yield* Fiber.join(call)
    }).pipe(Effect.provide(layer))
  })

  it.effect("fails with the reason why the sign-in failed", () => {
    const failure = new SessionError.AuthRequired({ status: 401, url: "https://issuer.example/authorize" })
    const { layer, script } = setting({ connect: needsSignIn, signIn: Effect.fail(failure) })
    return Effect.gen(function*() {
      const { callTool } = yield* Sessions.Sessions
      const error = yield* Effect.flip(callTool("s", "t"))
      assert.deepStrictEqual(error._tag === "SessionError" ? error.reason : undefined, failure)
      assert.strictEqual(
        error.message,
        "s: the server requires authorization (HTTP 401); sign in at https://issuer.example/authorize"
      )
      assert.strictEqual(script.connects.length, 1)
    }).pipe(Effect.provide(layer))
  })

  it.effect("asks for one sign-in only, even if the server refuses the new credentials too", () => {
    const { layer, signIns } = setting({ connect: () => Effect.fail(refused) })
    return Effect.gen(function*() {
      const { callTool } = yield* Sessions.Sessions
      const error = yield* Effect.flip(callTool("s", "t"))
      assert.strictEqual(error._tag === "SessionError" ? error.reason._tag : undefined, "AuthRequired")
      assert.strictEqual(signIns.length, 1)
    }).pipe(Effect.provide(layer))
  })

  it.effect("names what is missing if its definition says how to sign in, and the program signs nobody in", () => {
    const script = Scripted.make({ connect: () => Effect.fail(refused) })
    const url = "https://far.example/mcp"
    const definitions = { wants: { url, auth: {} }, never: { url, auth: false as const }, plain: { url } }
    return Effect.gen(function*() {
      const { callTool } = yield* Sessions.Sessions
      const messageOf = (server: string) => Effect.map(Effect.flip(callTool(server, "t")), ({ message }) => message)
      const bare = "the server requires authorization (HTTP 401)"
      assert.strictEqual(
        yield* messageOf("wants"),
        `wants: ${bare}: the definition has "auth", but the program signs nobody in; give OAuth.layer to an Effect program, ` +
          "and the option authorization to McpSessions"
      )
      assert.strictEqual(yield* messageOf("never"), `never: ${bare}`)
      assert.strictEqual(yield* messageOf("plain"), `plain: ${bare}`)
    }).pipe(
      Effect.provide(
        Sessions.layer({ servers: definitions, retry: RetryPolicy.never }).pipe(Layer.provide(script.layer))
      )
    )
  })

  it.effect("fails at once in a program that has no way to sign in", () => {
    const script = Scripted.make({ connect: () => Effect.fail(refused) })
    return Effect.gen(function*() {
      const sessions = yield* Sessions.Sessions
      const error = yield* Effect.flip(sessions.callTool("s", "t"))
      assert.strictEqual(error.message, "s: the server requires authorization (HTTP 401)")
      assert.deepStrictEqual(yield* sessions.signInState("s"), { _tag: "NotNeeded" })
      assert.strictEqual(
        (yield* Effect.flip(sessions.signIn("s"))).message,
        "s: the server requires authorization (HTTP 401): the program signs nobody in; " +
          "give OAuth.layer to an Effect program, and the option authorization to McpSessions"
      )
      yield* sessions.signOut("s")
    }).pipe(Effect.provide(Sessions.layer({ servers }).pipe(Layer.provide(script.layer))))
  })
})

describe("a request that the server refuses for lack of credentials", () => {
  it.effect("is sent once more on the same connection after the sign-in", () => {
    const { layer, script, signIns } = setting({
      answer: (isSignedIn) => Effect.as(needsSignIn(isSignedIn), { content: [] })
    })
    return Effect.gen(function*() {
      const { callTool } = yield* Sessions.Sessions
      yield* callTool("s", "t")
      assert.deepStrictEqual(signIns, ["default@s"])
      assert.deepStrictEqual(script.requests, ["1:tools/call:t", "1:tools/call:t"])
      assert.strictEqual(script.connects.length, 1)
    }).pipe(Effect.provide(layer))
  })

  it.effect("is sent twice at most", () => {
    const { layer, script, signIns } = setting({ answer: () => Effect.fail(refused) })
    return Effect.gen(function*() {
      const { callTool } = yield* Sessions.Sessions
      yield* Effect.flip(callTool("s", "t"))
      assert.strictEqual(signIns.length, 1)
      assert.strictEqual(script.requests.length, 2)
    }).pipe(Effect.provide(layer))
  })

  it.effect("does not wait for a sign-in beyond its total timeout, and did not run", () => {
    const { layer } = setting({ answer: () => Effect.fail(refused), signIn: Effect.never })
    return Effect.gen(function*() {
      const { get } = yield* Sessions.Sessions
      const session = yield* get("s")
      const call = yield* Effect.forkChild(Effect.flip(session.callTool("t")))
      yield* TestClock.adjust("5 minutes")
      const error = yield* Fiber.join(call)
      assert.strictEqual(error.reason._tag, "RequestTimeout")
      assert.strictEqual(error.delivery, "NotSent")
    }).pipe(Effect.scoped, Effect.provide(layer))
  })
})

describe("signing in and out", () => {
  it.effect("signing out closes the connections of that owner at that server only", () => {
    const { layer, script, signedIn } = setting({ connect: needsSignIn })
    return Effect.gen(function*() {
      const sessions = yield* Sessions.Sessions
      yield* sessions.signIn("s", { owner: "a" })
      yield* sessions.signIn("s", { owner: "b" })
      yield* sessions.callTool("s", "t", {}, { owner: "a" })
      yield* sessions.callTool("s", "t", {}, { owner: "b" })
      yield* sessions.callTool("other", "t", {}, { owner: "a" })
      assert.strictEqual(script.open, 3)
      const { connections } = yield* sessions.status("s")
      assert.deepStrictEqual(connections.map(({ owner, signIn }) => [owner, signIn._tag]), [
        ["a", "SignedIn"],
        ["b", "SignedIn"]
      ])
      yield* sessions.signOut("s", { owner: "a" })
      assert.deepStrictEqual([...signedIn], ["b"])
      assert.strictEqual(script.open, 2)
      assert.deepStrictEqual(yield* sessions.signInState("s", { owner: "a" }), { _tag: "SignedOut" })
    }).pipe(Effect.provide(layer))
  })

  it.effect("fails for a server that is not configured", () => {
    const { layer } = setting({})
    return Effect.gen(function*() {
      const sessions = yield* Sessions.Sessions
      for (const effect of [sessions.signIn("nope"), sessions.signOut("nope"), sessions.signInState("nope")]) {
        assert.strictEqual((yield* Effect.flip(Effect.asVoid(effect)))._tag, "ConfigError")
      }
    }).pipe(Effect.provide(layer))
  })

  it("works through promises", async () => {
    const { authorization, script, signIns } = setting({ connect: needsSignIn })
    await using sessions = McpSessions.make({ servers, transports: Layer.merge(script.layer, authorization) })
    await sessions.signIn("s", { owner: "a" })
    assert.strictEqual((await sessions.signInState("s", { owner: "a" }))._tag, "SignedIn")
    await sessions.callTool("s", "t", {}, { owner: "a" })
    await sessions.signOut("s", { owner: "a" })
    assert.deepStrictEqual(signIns, ["a@s"])
  })
})
