/**
 * Defects of the gateway itself: each request is answered, its place is given back, and the log has the cause.
 */
import { assert, describe, it } from "@effect/vitest"
import { SessionRouter } from "@mcp-sessions/transports"
import { Cause, Effect, Logger, Redacted } from "effect"
import { Readable } from "node:stream"
import { Admission } from "../../../packages/transports/src/internal/gateway/admission/admission.ts"
import type { Caller } from "../../../packages/transports/src/internal/gateway/admission/admission.ts"
import { Challenges, type Refusal } from "../../../packages/transports/src/internal/gateway/admission/challenges.ts"
import { Dispatcher } from "../../../packages/transports/src/internal/gateway/call/dispatcher.ts"
import type { ClientSession } from "../../../packages/transports/src/internal/gateway/client/clientSession.ts"
import type { Router } from "../../../packages/transports/src/internal/gateway/client/sessionLocation.ts"
import { guarded, settled } from "../../../packages/transports/src/internal/gateway/http/defects.ts"
import { makeFork } from "../../../packages/transports/src/internal/scopedFork.ts"
import { call, initialize, post, startGateway } from "../../fixtures/gateway.ts"

/** Runs an effect with a log that is kept as text. */
const logged = <A, E, R>(use: (logs: Array<string>) => Effect.Effect<A, E, R>) =>
  Effect.suspend(() => {
    const logs: Array<string> = []
    const logger = Logger.make(({ cause, logLevel, message }) =>
      void logs.push([logLevel, message, Cause.pretty(cause)].flat().map((part) => `${part}`).join(" "))
    )
    return Effect.provide(use(logs), Logger.layer([logger]))
  })

const modernHeaders = { "mcp-protocol-version": "2026-07-28", "mcp-method": "tools/list" }
const modern = {
  jsonrpc: "2.0",
  id: 0,
  method: "tools/list",
  params: {
    _meta: {
      "io.modelcontextprotocol/protocolVersion": "2026-07-28",
      "io.modelcontextprotocol/clientInfo": { name: "bare", version: "1" },
      "io.modelcontextprotocol/clientCapabilities": {}
    }
  }
}

const die = Effect.die(new Error("a fault of the router"))

const broken: Router = {
  hasOwners: true,
  open: () => die,
  find: () => {
    throw new Error("a fault of the router")
  },
  modern: () => die,
  close: () => Effect.void
}

/** Starts a gateway with a router of a test, and place for one request. */
const startWith = (router: Router) =>
  startGateway({}, { limits: { maxInFlightPerPrincipal: 1 } }).pipe(
    Effect.provideService(SessionRouter.SessionRouter, {
      isShared: false,
      problemsOf: () => [],
      make: () => Effect.succeed({ router, start: () => Effect.void, drain: Effect.void, isReady: () => true })
    })
  )

describe("a gateway whose router fails by itself", () => {
  for (
    const [title, send] of [
      ["opens a session", (url: string) => post(url, initialize)],
      ["finds a session", (url: string) => post(url, call(0, "echo"), { session: "any" })],
      ["finds the session of a request of 2026-07-28", (url: string) => post(url, modern, { headers: modernHeaders })]
    ] as const
  ) {
    it.live(`answers 500 each time that it ${title}, and logs the cause`, () =>
      logged((logs) =>
        Effect.gen(function*() {
          const { url } = yield* startWith(broken)
          for (let n = 0; n < 3; n++) {
            const { status, text } = yield* send(url)
            assert.deepStrictEqual([status, JSON.parse(text)], [500, {
              jsonrpc: "2.0",
              id: 0,
              error: { code: -32_603, message: "the gateway failed" }
            }])
          }
          const errors = logs.filter((line) => line.startsWith("Error"))
          assert.lengthOf(errors, 3)
          for (const line of errors) assert.include(line, "a fault of the router")
        })
      ))
  }

  it.live("answers 500 to a stream and to the end of a session", () =>
    logged(() =>
      Effect.gen(function*() {
        const { url } = yield* startWith(broken)
        for (const method of ["GET", "DELETE"]) {
          const { status } = yield* post(url, undefined, { method, session: "any" })
          assert.strictEqual(status, 500)
        }
      })
    ))
})

describe("a guard", () => {
  const guardOf = Effect.map(makeFork, (fork) => {
    const failures: Array<string> = []
    const onFailure = ({ message }: { readonly message: string }) => void failures.push(message)
    return { failures, guard: { fork, doing: "test", onFailure } }
  })
  const fault = () => {
    throw new Error("a fault")
  }

  it.effect("ends a request whose callback throws, and throws nothing even if that end fails too", () =>
    logged((logs) =>
      Effect.gen(function*() {
        const { failures, guard } = yield* guardOf
        guarded(guard, fault)
        assert.deepStrictEqual(failures, ["the gateway failed"])
        guarded({ ...guard, onFailure: fault }, fault)
        assert.lengthOf(logs.filter((line) => line.includes("the gateway failed to test")), 3)
      })
    ))

  it.effect("hands a value on, and ends a request after a defect, an exception or an interruption", () =>
    logged((logs) =>
      Effect.gen(function*() {
        const { failures, guard } = yield* guardOf
        const values: Array<number> = []
        const onValue = (value: number) => void values.push(value)
        settled(guard, { effect: Effect.succeed(1), onValue })
        settled(guard, { effect: Effect.die("a fault"), onValue })
        settled(guard, { effect: Effect.succeed(2), onValue: fault })
        settled(guard, { effect: Effect.interrupt, onValue })
        assert.deepStrictEqual([values, failures], [[1], [
          "the gateway failed",
          "the gateway failed",
          "the gateway is stopping"
        ]])
        assert.lengthOf(logs, 2)
      })
    ))
})

describe("an access token whose verification fails by itself", () => {
  it.effect("is answered with 500, and not as if the gateway were busy", () =>
    logged((logs) =>
      Effect.gen(function*() {
        const verdicts: Array<Caller | Refusal> = []
        const admission = new Admission({
          host: "127.0.0.1",
          allowedHosts: [],
          allowedOrigins: [],
          tokens: { alice: Redacted.make("the-token-of-alice") },
          accessTokens: { recall: () => undefined, verify: () => Effect.die("a fault of the keys") } as never,
          challenges: new Challenges({ metadataUrl: undefined, scopes: [], onRefusal: () => {} }),
          fork: yield* makeFork
        })
        const token = [{ alg: "RS256" }, { sub: "bob" }, "signature"]
          .map((part) => Buffer.from(JSON.stringify(part)).toString("base64url")).join(".")
        const authorization = `Bearer ${token}`
        const request = Object.assign(new Readable(), {
          headers: { authorization },
          rawHeaders: ["Authorization", authorization]
        })
        admission.authenticate(request as never, (verdict) => void verdicts.push(verdict))
        assert.deepStrictEqual(verdicts, [{ status: 500, description: "the gateway failed" }])
        assert.include(logs.join(), "a fault of the keys")
      })
    ))
})

describe("a call whose record or start fails by itself", () => {
  const clientWith = (parts: object) =>
    ({
      principal: "alice",
      name: "a-client",
      protocolVersion: "2025-06-18",
      isModern: false,
      calls: new Map(),
      touch: () => {},
      tasks: { isOffered: false },
      ...parts
    }) as unknown as ClientSession

  for (
    const [title, record, parts] of [
      [
        "record",
        () => {
          throw new Error("a fault")
        },
        { lists: { offer: { tool: () => undefined } } }
      ],
      ["start", undefined, {
        lists: {
          offer: {
            tool: () => {
              throw new Error("a fault")
            }
          }
        }
      }]
    ] as const
  ) {
    it.effect(`ends with an internal error: ${title}`, () =>
      logged((logs) =>
        Effect.gen(function*() {
          const dispatcher = new Dispatcher({ fork: yield* makeFork, now: () => 0, record })
          const settled: Array<string | undefined> = []
          const reply = { related: () => false, settle: (message: string | undefined) => void settled.push(message) }
          dispatcher.run(clientWith(parts), call(1, "echo") as never, reply)
          assert.deepStrictEqual(settled.map((text) => JSON.parse(text ?? "").error.code), [-32_603])
          assert.include(logs.join(), "a fault")
        })
      ))
  }
})
