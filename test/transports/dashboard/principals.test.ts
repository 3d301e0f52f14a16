/**
 * Rights of principals on the page of a gateway.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Redacted } from "effect"
import { connectV1 } from "../../fixtures/gateway.ts"
import { act, enter, events, type Message, startPage } from "../../fixtures/page.ts"
import { until } from "../../fixtures/peer.ts"

const tokens = {
  alice: Redacted.make("the-token-of-alice"),
  bob: Redacted.make("the-token-of-bob"),
  root: Redacted.make("the-token-of-root")
}
const options = { tokens, operators: ["root"] }

/** The latest views in the messages of a stream. */
const latest = (messages: ReadonlyArray<Message>, key: "clients" | "servers"): unknown =>
  messages.reduce<unknown>(
    (found, message) => (message.kind === "snapshot" ? message["snapshot"]?.[key] : message[key]) ?? found,
    undefined
  )

interface Call {
  readonly principal: string
  readonly name: string
}

const callsIn = (messages: ReadonlyArray<Message>): ReadonlyArray<Call> =>
  messages.flatMap((message): ReadonlyArray<Call> =>
    (message.kind === "snapshot" ? message["snapshot"]?.["calls"] : message["calls"]?.["items"]) ?? []
  )

const ownersIn = (messages: ReadonlyArray<Message>): ReadonlyArray<string> =>
  (latest(messages, "clients") as { readonly items: ReadonlyArray<{ readonly principal: string }> }).items
    .map(({ principal }) => principal).toSorted()

describe("the page of a principal", () => {
  it.live("shows its own calls and sessions, and to an operator those of all", () =>
    Effect.gen(function*() {
      const { url } = yield* startPage(options)
      const pages = {
        alice: yield* events(yield* enter(url, "the-token-of-alice")),
        bob: yield* events(yield* enter(url, "the-token-of-bob")),
        root: yield* events(yield* enter(url, "the-token-of-root"))
      }
      const endpoint = `${new URL(url).origin}/mcp`
      for (const name of ["alice", "bob"]) {
        const { client } = yield* connectV1(endpoint, { token: `the-token-of-${name}` })
        yield* Effect.promise(() => client.callTool({ name: "plain" }))
      }
      yield* until(() => callsIn(pages.root.messages), ({ length }) => length === 2)
      yield* until(() => callsIn(pages.bob.messages), ({ length }) => length === 1)
      const principals = (page: keyof typeof pages) => callsIn(pages[page].messages).map(({ principal }) => principal)
      assert.deepStrictEqual([principals("alice"), principals("bob"), principals("root")], [
        ["alice"],
        ["bob"],
        ["alice", "bob"]
      ])
      yield* until(() => ownersIn(pages.root.messages), (owners) => owners.includes("alice") && owners.includes("bob"))
      assert.deepStrictEqual([ownersIn(pages.alice.messages), ownersIn(pages.bob.messages)], [["alice"], ["bob"]])
    }))

  it.live("does not show the errors of others, nor how busy they are", () =>
    Effect.gen(function*() {
      const { url } = yield* startPage(options)
      const operator = yield* enter(url, "the-token-of-root")
      const [alice, root] = [yield* events(yield* enter(url, "the-token-of-alice")), yield* events(operator)]
      const { client } = yield* connectV1(`${new URL(url).origin}/mcp`, { token: "the-token-of-bob" })
      const inFlight = (messages: ReadonlyArray<Message>) =>
        (latest(messages, "servers") as ReadonlyArray<{ readonly inFlight: number }> | undefined)?.[0]?.inFlight
      const hanging = Effect.promise((signal) =>
        client.callTool({ name: "hang" }, undefined, { signal }).catch(() => {})
      )
      const call = yield* Effect.forkChild(hanging)
      yield* until(() => inFlight(root.messages), (count) => count === 1)
      yield* Fiber.interrupt(call)
      yield* Effect.promise(() => client.callTool({ name: "die" }).catch(() => undefined))
      yield* until(() => JSON.stringify(latest(root.messages, "servers")), (text) => text.includes("told to die"))
      yield* until(() => callsIn(root.messages), (calls) => calls.some(({ name }) => name === "die"))
      // What she sees after all of that.
      yield* act(operator, "eject", { server: "marked" })
      yield* until(() => JSON.stringify(latest(alice.messages, "servers")), (text) => text.includes("ejected"))
      for (let end = 1; end <= alice.messages.length; end++) {
        assert.strictEqual(inFlight(alice.messages.slice(0, end)), 0)
      }
      const seen = JSON.stringify(alice.messages)
      assert.notInclude(seen, "told to die")
      assert.notInclude(seen, "ServerExited")
      assert.notInclude(seen, "bob")
    }))

  it.live("restarts, ejects, readmits and signs in for an operator alone", () =>
    Effect.gen(function*() {
      const { url } = yield* startPage(options)
      const [alice, root] = [yield* enter(url, "the-token-of-alice"), yield* enter(url, "the-token-of-root")]
      for (const action of ["restart", "eject", "readmit", "sign-in"]) {
        const { status: refused } = yield* act(alice, action, { server: "marked" })
        const { status: done } = yield* act(root, action, { server: "marked" })
        assert.deepStrictEqual([action, refused, done], [action, 403, 200])
      }
    }))

  it.live("calls tools in sessions of its own", () =>
    Effect.gen(function*() {
      const { ledger, url } = yield* startPage(options)
      const before = ledger("process").length
      for (const name of ["alice", "bob", "alice"]) {
        const session = yield* enter(url, `the-token-of-${name}`)
        const { json } = yield* act(session, "call", { server: "marked", tool: "plain", arguments: "{}" })
        assert.strictEqual(json.outcome, "Succeeded")
      }
      assert.strictEqual(ledger("process").length - before, 2)
    }))
})
