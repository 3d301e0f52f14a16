/**
 * Faults that were found in other gateways, and what a hostile client or server tries.
 */
import { assert, describe, it } from "@effect/vitest"
import type { Gateway } from "@mcp-sessions/transports"
import { Effect, Fiber, Queue, Redacted } from "effect"
import { actions } from "../../../packages/transports/src/internal/dashboard/actions.ts"
import { ownPaths } from "../../../packages/transports/src/internal/gateway/gatewayOptions.ts"
import { wellKnownPath } from "../../../packages/transports/src/internal/gateway/http/resourceMetadata.ts"
import { call, connectV1, initialize, post, startGateway, textOf } from "../../fixtures/gateway.ts"
import { startIssuer } from "../../fixtures/jwtIssuer.ts"
import { stdio, until } from "../../fixtures/peer.ts"
import * as Http from "../../fixtures/scriptedHttp.ts"

const token = "the-token-of-alice"

describe("a gateway", () => {
  it.live("starts one process for concurrent first calls of a client", () =>
    Effect.gen(function*() {
      const { config, ledger } = yield* stdio("v1").start
      const { url } = yield* startGateway({ only: config })
      const { client } = yield* connectV1(url)
      const said = yield* Effect.promise(() =>
        Promise.all(
          Array.from({ length: 20 }, (_, id) => client.callTool({ name: "echo", arguments: { message: `${id}` } }))
        )
      )
      assert.deepStrictEqual(said.map(textOf), Array.from({ length: 20 }, (_, id) => `${id}`))
      // One follows the lists.
      assert.lengthOf(ledger("process"), 2)
    }))

  it.live("answers other calls while one hangs, of the same client and of others", () =>
    Effect.gen(function*() {
      const { config, ledger } = yield* stdio("v1").start
      const { url } = yield* startGateway({ only: config }, { drainTimeout: 0 })
      const { session } = yield* post(url, initialize)
      const hanging = yield* Effect.forkChild(post(url, call(1, "hang", { id: "1" }), { session }))
      yield* until(() => ledger("hang"), (ids) => ids.length === 1)
      const own = yield* post(url, call(2, "echo", { message: "hi" }), { session })
      assert.include(own.text, "hi")
      const { client } = yield* connectV1(url)
      const said = yield* Effect.promise(() => client.callTool({ name: "echo", arguments: { message: "hi" } }))
      assert.strictEqual(textOf(said), "hi")
      assert.isUndefined(hanging.pollUnsafe())
      yield* Fiber.interrupt(hanging)
    }))

  it.live("shows nothing of its sessions to a request without a token, at each of its paths and others, by any method", () =>
    Effect.gen(function*() {
      const { config } = yield* stdio("v1").start
      const { issuer } = yield* startIssuer
      const { url } = yield* startGateway({ only: config }, {
        tokens: { alice: Redacted.make(token) },
        jwt: { issuer },
        ui: true,
        operators: ["alice"],
        onPageUrl: () => Effect.void
      })
      const { session } = yield* post(url, initialize, { token })
      yield* post(url, call(1, "echo", { message: "hi" }), { session, token })
      const { origin, pathname } = new URL(url)
      const found = new Map<string, number>()
      const paths = [
        pathname,
        `${pathname}/`,
        `${pathname}/${session}`,
        ...Object.values(ownPaths),
        ...["events", "api/enter", "api/leave", "app.js", ...actions.keys()].map((name) =>
          `${ownPaths.page}/${actions.has(name) ? `api/${name}` : name}`
        ),
        wellKnownPath,
        wellKnownPath + pathname,
        "/",
        "/sessions",
        "/health/sessions",
        "//"
      ]
      for (const path of paths) {
        for (const method of ["GET", "POST", "DELETE", "PUT", "HEAD", "OPTIONS"]) {
          const { headers, status, text } = yield* post(origin + path, method === "POST" ? initialize : undefined, {
            method,
            session
          })
          // The page and its files hold nothing of the gateway.
          const shown = JSON.stringify(headers) + (text.startsWith("<!doctype html>") ? "" : text)
          for (const secret of [session, "\"only\"", "only_", "alice", token]) assert.notInclude(shown, secret, path)
          if (status < 300) found.set(`${method} ${path}`, status)
        }
      }
      const open = ["/healthz", "/readyz", "/ui", "/ui/app.js", wellKnownPath, wellKnownPath + pathname]
      assert.sameMembers([...new Set([...found.keys()].map((one) => one.split(" ")[1]))], open)
    }))

  it.live("refuses a second request with the id of one in flight, and cancels none of another client", () =>
    Effect.gen(function*() {
      const { config, ledger } = yield* stdio("v1").start
      const { url } = yield* startGateway({ only: config }, { drainTimeout: 0 })
      const [{ session }, other] = yield* Effect.all([post(url, initialize), post(url, initialize)])
      const hanging = yield* Effect.forkChild(post(url, call(1, "hang", { id: "1" }), { session }))
      yield* until(() => ledger("hang"), (ids) => ids.length === 1)
      const again = yield* post(url, call(1, "count", { id: "2" }), { session })
      assert.strictEqual(JSON.parse(again.text).error.code, -32600)
      const cancel = { jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId: 1 } }
      assert.strictEqual((yield* post(url, cancel, { session: other.session })).status, 202)
      assert.include((yield* post(url, call(3, "echo", { message: "hi" }), { session })).text, "hi")
      assert.deepStrictEqual([ledger("cancelled"), ledger("count")], [[], []])
      assert.strictEqual((yield* post(url, cancel, { session })).status, 202)
      yield* until(() => ledger("cancelled"), (ids) => ids.length === 1)
      assert.strictEqual((yield* Fiber.join(hanging)).text, "")
    }))

  it.live("ends the calls in flight of a client on an open session, by its cancellation and with its session", () =>
    Effect.gen(function*() {
      const { config, ledger } = yield* stdio("v1").start
      const { url } = yield* startGateway({ only: config })
      const { session } = yield* post(url, initialize)
      // From the second call on, calls need no fiber.
      yield* post(url, call(1, "echo", { message: "hi" }), { session })
      const hanging = yield* Effect.forEach(
        ["2", "3"],
        (id) => Effect.forkChild(post(url, call(Number(id), "hang", { id }), { session }))
      )
      yield* until(() => ledger("hang"), (ids) => ids.length === 2)
      yield* post(url, { jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId: 2 } }, { session })
      yield* until(() => ledger("cancelled"), (ids) => ids.includes("2"))
      assert.deepStrictEqual(ledger("cancelled"), ["2"])
      yield* post(url, undefined, { method: "DELETE", session })
      const [cancelled, closed] = yield* Effect.forEach(hanging, (fiber) => Fiber.join(fiber))
      assert.strictEqual(cancelled?.text, "")
      assert.deepInclude(JSON.parse(closed?.text ?? "").error.data, { reason: "SessionClosed", delivery: "Unknown" })
    }))

  it.live("records who called what and how it ended, without arguments, results and tokens", () =>
    Effect.gen(function*() {
      const { config } = yield* stdio("v1").start
      const records = yield* Queue.unbounded<Gateway.AuditRecord>()
      const { url } = yield* startGateway({ only: config }, {
        tokens: { alice: Redacted.make(token) },
        audit: (record) => Queue.offer(records, record)
      })
      const { session } = yield* post(url, initialize, { token })
      const secret = "a-secret-argument"
      for (
        const [id, name] of [
          [1, "echo"],
          [2, "fail"],
          [3, "reject"],
          [4, "die"],
          [5, "no\n[INFO] such"],
          [6, "x".repeat(1000)]
        ] as const
      ) {
        yield* post(url, call(id, name, { message: secret, id: secret }), { session, token })
      }
      const all = (yield* Queue.takeN(records, 6)).filter((record) => record._tag === "Used")
      assert.deepStrictEqual(
        all.map(({ code, delivery, name, outcome, reason, server }) => [name, server, outcome, delivery, code, reason]),
        [
          ["echo", "only", "Succeeded", "Answered", undefined, undefined],
          ["fail", "only", "ToolError", "Answered", undefined, undefined],
          ["reject", "only", "Failed", "Answered", -32050, undefined],
          ["die", "only", "Failed", "Unknown", -32010, "OutcomeUnknown"],
          ["no\n[INFO] such", undefined, "Failed", "NotSent", -32602, undefined],
          ["x".repeat(256), undefined, "Failed", "NotSent", -32602, undefined]
        ]
      )
      assert.isTrue(all.every(({ principal }) => principal === "alice"))
      for (const hidden of [secret, token, session, "no such luck", "it did not work"]) {
        assert.notInclude(JSON.stringify(all), hidden)
      }
    }))

  it.live("refuses objects in the place of texts, and goes on", () =>
    Effect.gen(function*() {
      const { config, ledger } = yield* stdio("v1").start
      const records = yield* Queue.unbounded<Gateway.AuditRecord>()
      const { url } = yield* startGateway({ only: config }, {
        tokens: { alice: Redacted.make(token) },
        audit: (record) => Queue.offer(records, record)
      })
      const { session } = yield* post(url, initialize, { token })
      // `String` throws for it.
      const textless = { toString: 1, valueOf: 1 }
      const codeOf = (method: string, params: object, headers: Readonly<Record<string, string>> = {}) =>
        Effect.map(
          post(url, { jsonrpc: "2.0", id: 1, method, params }, { headers, session, token }),
          ({ text }) => JSON.parse(text).error?.code
        )
      for (const method of ["tools/call", "prompts/get"]) {
        assert.strictEqual(yield* codeOf(method, { name: textless }), -32602)
        assert.deepInclude(yield* Queue.take(records), { method, name: "", outcome: "Failed" })
      }
      assert.strictEqual(yield* codeOf("resources/read", { uri: textless }), -32602)
      const _meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": { extensions: { "io.modelcontextprotocol/tasks": {} } }
      }
      const modern = (method: string) => ({ "mcp-protocol-version": "2026-07-28", "mcp-method": method })
      for (const method of ["tools/list", "tasks/get"]) {
        const params = { _meta, requestState: textless, taskId: textless }
        assert.isNumber(yield* codeOf(method, params, modern(method)))
      }
      assert.include((yield* post(url, call(2, "count", { id: "after" }), { session, token })).text, "result")
      assert.deepStrictEqual(ledger("count"), ["after"])
    }))

  it.live("runs no tool for an id beyond all numbers, and reports no progress by such a token, because JSON cannot repeat them", () =>
    Effect.gen(function*() {
      const { config, ledger } = yield* stdio("v1").start
      const { url } = yield* startGateway({ only: config })
      const { session } = yield* post(url, initialize)
      const infinite = (message: object) => JSON.stringify(message).replace("-7", "1e400")
      const refused = yield* post(url, infinite(call(-7, "count", { id: "infinite" })), { session })
      assert.deepStrictEqual([refused.status, JSON.parse(refused.text).error.code], [400, -32_600])
      const steps = yield* post(url, infinite(call(1, "steps", {}, { progressToken: -7 })), { session })
      assert.deepStrictEqual([steps.type, JSON.parse(steps.text).id], ["application/json", 1])
      assert.include((yield* post(url, call(2, "count", { id: "after" }), { session })).text, "result")
      assert.deepStrictEqual(ledger("count"), ["after"])
    }))

  it.live("refuses arguments of prompts and of completions that are not texts, before a server hears of them", () =>
    Effect.gen(function*() {
      const server = yield* Http.start(({ message: { id, method }, response }) => {
        const answer = (value: unknown) => Http.json(response, Http.result(id, value))
        switch (method) {
          case "initialize":
            answer({
              protocolVersion: "2025-11-25",
              capabilities: { prompts: {}, completions: {} },
              serverInfo: { name: "prompts", version: "1" }
            })
            return true
          case "prompts/list":
            answer({ prompts: [{ name: "greet", arguments: [{ name: "who" }] }] })
            return true
          case "prompts/get":
            answer({ messages: [] })
            return true
          case "completion/complete":
            answer({ completion: { values: [] } })
            return true
          default:
            return false
        }
      })
      const { url } = yield* startGateway({ only: { url: server.url, protocol: "legacy" } })
      const { session } = yield* post(url, initialize)
      const codeOf = (method: string, params: object) =>
        Effect.map(
          post(url, { jsonrpc: "2.0", id: 1, method, params }, { session }),
          ({ text }) => JSON.parse(text).error?.code
        )
      const ref = { type: "ref/prompt", name: "greet" }
      const argument = { name: "who", value: "A" }
      for (const who of [7, {}, null]) {
        assert.strictEqual(yield* codeOf("prompts/get", { name: "greet", arguments: { who } }), -32602)
        assert.strictEqual(yield* codeOf("completion/complete", { ref, argument: { name: "who", value: who } }), -32602)
        assert.strictEqual(
          yield* codeOf("completion/complete", { ref, argument, context: { arguments: { who } } }),
          -32602
        )
      }
      assert.deepStrictEqual([server.count("POST prompts/get greet"), server.count("POST completion/complete")], [0, 0])
      assert.isUndefined(yield* codeOf("prompts/get", { name: "greet", arguments: { who: "Ada" } }))
      assert.isUndefined(yield* codeOf("completion/complete", { ref, argument, context: { arguments: { who: "A" } } }))
    }))
})
