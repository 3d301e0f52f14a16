/**
 * Actions of the page of a gateway, over a server whose texts are markup.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { request } from "node:http"
import { act, enter, events, type Message, type Session, startPage } from "../../fixtures/page.ts"
import { until } from "../../fixtures/peer.ts"

const markup = "<img src=x onerror=\"globalThis.pwned=1\">"

const callTool = (session: Session, tool: string, args = "{}") =>
  Effect.map(act(session, "call", { server: "marked", tool, arguments: args }), ({ json }) => json)

interface Server {
  readonly name: string
  readonly health: string
  readonly state: string
  readonly circuit: string
  readonly restarts: number
  readonly lastError?: { readonly reason: string; readonly stderr?: string }
}

/** The first server as the stream shows it last. */
const server = (messages: ReadonlyArray<Message>): Server =>
  messages.reduce<Server>(
    (found, message) =>
      ((message.kind === "snapshot" ? message["snapshot"]?.["servers"] : message["servers"]) as
        | ReadonlyArray<Server>
        | undefined)?.[0] ?? found,
    { name: "", health: "", state: "", circuit: "", restarts: 0 }
  )

describe("the page of a gateway", () => {
  it.live("lists the tools of a server with their schemas", () =>
    Effect.gen(function*() {
      const { url } = yield* startPage()
      const { json } = yield* act(yield* enter(url), "tools", { server: "marked" })
      const tools = json.tools as ReadonlyArray<Record<string, unknown>>
      assert.deepStrictEqual(tools.map(({ name }) => name), ["order", "plain", markup, "hang", "die", "refuse"])
      assert.deepStrictEqual([tools[0]?.isReadOnly, tools[1]?.isReadOnly], [false, true])
      assert.property(tools[0]?.schema, "properties")
    }))

  it.live("calls a tool, and passes numbers on digit by digit", () =>
    Effect.gen(function*() {
      const { url } = yield* startPage()
      const args = "{\"id\":12345678901234567890,\"price\":1e400,\"__proto__\":1}"
      const { blocks, delivery, outcome } = yield* callTool(yield* enter(url), "order", args)
      assert.deepStrictEqual([outcome, delivery], ["Succeeded", "Answered"])
      assert.deepStrictEqual(blocks, [{ type: "text", text: args, isCut: false }])
    }))

  it.live("shows images of four types alone, and everything else as text", () =>
    Effect.gen(function*() {
      const { url } = yield* startPage()
      const { blocks, outcome } = yield* callTool(yield* enter(url), markup)
      assert.strictEqual(outcome, "ToolError")
      const [text, image, note, resource, structured, ...rest] = blocks as ReadonlyArray<Record<string, string>>
      assert.deepStrictEqual([text?.type, text?.text], ["text", markup])
      assert.deepStrictEqual([image?.type, image?.mimeType], ["image", "image/png"])
      assert.deepStrictEqual(note, { type: "note", text: "an image of the type image/svg+xml" })
      assert.deepStrictEqual([resource?.type, structured?.type, rest.length], ["json", "json", 0])
    }))

  it.live("says that a tool may have run whose server died", () =>
    Effect.gen(function*() {
      const { ledger, url } = yield* startPage()
      const { delivery, outcome, reason } = yield* callTool(yield* enter(url), "die")
      assert.deepStrictEqual([outcome, delivery, reason], ["Failed", "Unknown", "OutcomeUnknown"])
      assert.deepStrictEqual(ledger("call"), ["die"])
    }))

  it.live("says that a call was not sent which the gateway itself refuses", () =>
    Effect.gen(function*() {
      const { ledger, url } = yield* startPage({ limits: { maxInFlightPerPrincipal: 1 } })
      const session = yield* enter(url)
      const unknown = yield* callTool(session, "no-such-tool")
      assert.deepStrictEqual([unknown.outcome, unknown.delivery, unknown.reason], [
        "Failed",
        "NotSent",
        "JSON-RPC -32602"
      ])
      yield* Effect.forkScoped(callTool(session, "hang"))
      yield* until(() => ledger("call"), (calls) => calls.includes("hang"))
      const limited = yield* callTool(session, "plain")
      assert.deepStrictEqual([limited.outcome, limited.delivery, limited.reason], [
        "Failed",
        "NotSent",
        "JSON-RPC -32000"
      ])
      assert.deepStrictEqual(ledger("call"), ["hang"])
    }))

  it.live("runs 16 actions of a page session at a time, and refuses more", () =>
    Effect.gen(function*() {
      const { latest, ledger, url } = yield* startPage()
      const session = yield* enter(url)
      const hang = act(session, "call", { server: "marked", tool: "hang", arguments: "{}" })
      for (let n = 0; n < 16; n++) yield* Effect.forkScoped(hang)
      yield* until(() => ledger("call"), ({ length }) => length === 16)
      assert.strictEqual((yield* act(session, "tools", { server: "marked" })).status, 429)
      const other = yield* enter(yield* latest(2))
      assert.strictEqual((yield* act(other, "tools", { server: "marked" })).status, 200)
    }))

  it.live("shows the error that a server answers with", () =>
    Effect.gen(function*() {
      const { url } = yield* startPage()
      const { delivery, message, outcome, reason } = yield* callTool(yield* enter(url), "refuse")
      assert.deepStrictEqual([outcome, delivery, reason], ["Failed", "Answered", "JSON-RPC -32050"])
      assert.strictEqual(message, `refused ${markup}`)
    }))

  it.live("cancels a call at its server when the page gives it up", () =>
    Effect.gen(function*() {
      const { ledger, url } = yield* startPage()
      const { cookie, origin, token } = yield* enter(url)
      const sent = request(`${origin}/ui/api/call`, {
        method: "POST",
        headers: { "content-type": "application/json", origin, cookie, "x-page-token": token }
      })
      sent.on("error", () => {}).end(JSON.stringify({ server: "marked", tool: "hang", arguments: "{}" }))
      yield* until(() => ledger("call"), (calls) => calls.includes("hang"))
      sent.destroy()
      yield* until(() => ledger("cancelled"), (calls) => calls.includes("hang"))
    }))

  it.live("refuses an action of more than 1 MiB, and calls nothing", () =>
    Effect.gen(function*() {
      const { ledger, url } = yield* startPage()
      const session = yield* enter(url)
      const callWith = (size: number) =>
        act(session, "call", { server: "marked", tool: "plain", arguments: JSON.stringify({ x: "x".repeat(size) }) })
      assert.strictEqual((yield* callWith(1024 ** 2)).status, 400)
      assert.notInclude(ledger("call"), "plain")
      assert.strictEqual((yield* callWith(1024 ** 2 - 200)).status, 200)
      assert.include(ledger("call"), "plain")
    }))

  it.live("refuses what it cannot do, and does nothing", () =>
    Effect.gen(function*() {
      const { ledger, url } = yield* startPage()
      const session = yield* enter(url)
      const refused = [
        [404, "call", { server: "other", tool: "plain", arguments: "{}" }],
        [400, "call", { server: "marked", arguments: "{}" }],
        [400, "call", { server: "marked", tool: "plain", arguments: "{" }],
        [400, "call", { server: "marked", tool: "plain", arguments: "[]" }],
        [400, "call", { server: "marked", tool: "plain", arguments: `${"[".repeat(5000)}${"]".repeat(5000)}` }],
        [400, "call", "[]"],
        [400, "call", "{"],
        [400, "call", `"${"x".repeat(2 ** 20)}"`],
        [404, "restart", { server: "__proto__" }],
        [404, "unknown", {}]
      ] as const
      for (const [status, action, body] of refused) {
        assert.strictEqual(
          (yield* act(session, action, body)).status,
          status,
          `${action} ${JSON.stringify(body).slice(0, 80)}`
        )
      }
      assert.deepStrictEqual(ledger("call"), [])
    }))

  it.live("restarts a server on a new connection", () =>
    Effect.gen(function*() {
      const { ledger, url } = yield* startPage()
      const session = yield* enter(url)
      const { messages } = yield* events(session)
      yield* until(() => server(messages), ({ health, state }) => health === "healthy" && state === "ready")
      const before = ledger("process").length
      assert.deepStrictEqual((yield* act(session, "restart", { server: "marked" })).json, {})
      yield* until(() => server(messages), ({ restarts, state }) => restarts === 1 && state === "ready")
      assert.strictEqual(ledger("process").length, before + 1)
    }))

  it.live("ejects a server until it is readmitted", () =>
    Effect.gen(function*() {
      const { ledger, url } = yield* startPage()
      const session = yield* enter(url)
      const { messages } = yield* events(session)
      yield* act(session, "eject", { server: "marked" })
      yield* until(() => server(messages), ({ circuit }) => circuit === "ejected")
      const { delivery, reason } = yield* callTool(session, "plain")
      assert.deepStrictEqual([delivery, reason, ledger("call")], ["NotSent", "ServerEjected", []])
      yield* act(session, "readmit", { server: "marked" })
      yield* until(() => server(messages), ({ circuit }) => circuit === "closed")
      assert.strictEqual((yield* callTool(session, "plain")).outcome, "Succeeded")
    }))

  it.live("shows the latest error with the end of stderr", () =>
    Effect.gen(function*() {
      const { url } = yield* startPage()
      const session = yield* enter(url)
      const { messages } = yield* events(session)
      yield* callTool(session, "die")
      const { lastError } = yield* until(() => server(messages), ({ lastError }) => lastError !== undefined)
      assert.strictEqual(lastError?.reason, "ServerExited")
      assert.include(lastError?.stderr ?? "", `told to die ${markup}`)
    }))
})
