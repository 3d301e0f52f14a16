/**
 * The lists of a gateway: merged, routed, and followed while servers come and go.
 */
import { assert, describe, it } from "@effect/vitest"
import { Gateway } from "@mcp-sessions/transports"
import {
  LoggingMessageNotificationSchema,
  ResourceUpdatedNotificationSchema,
  ToolListChangedNotificationSchema
} from "@modelcontextprotocol/sdk/types.js"
import { Effect, Queue } from "effect"
import { Catalog } from "../../../packages/transports/src/internal/gateway/catalog/catalog.ts"
import { NameOwners } from "../../../packages/transports/src/internal/gateway/catalog/nameOwners.ts"
import { type Listed, noLists, Offer } from "../../../packages/transports/src/internal/gateway/catalog/offer.ts"
import { isFrom, literalsOf } from "../../../packages/transports/src/internal/gateway/catalog/uriTemplates.ts"
import { connectV1, startGateway, textOf } from "../../fixtures/gateway.ts"
import { http, stdio, until } from "../../fixtures/peer.ts"
import * as Http from "../../fixtures/scriptedHttp.ts"

const everything = { command: "mcp-server-everything", args: ["stdio"] }

const tool = (name: string) => ({ name, inputSchema: { type: "object" as const } })

describe("the lists of a gateway", () => {
  it.live("are those of all servers, and each item is used at its own server", () =>
    Effect.gen(function*() {
      const notes = yield* stdio("v1").start
      const { url } = yield* startGateway({ all: everything, notes: notes.config })
      const { client } = yield* connectV1(url)
      const { resources } = yield* Effect.promise(() => client.listResources())
      assert.include(resources.map(({ uri }) => uri), "note://1")
      const { contents } = yield* Effect.promise(() => client.readResource({ uri: "note://1" }))
      assert.deepStrictEqual(contents, [{ uri: "note://1", text: "contents of note://1" }])
      const { resourceTemplates } = yield* Effect.promise(() => client.listResourceTemplates())
      const [{ uriTemplate } = assert.fail("there is no template")] = resourceTemplates
      const uri = uriTemplate.replace(/\{[^}]*\}/, "1")
      const read = yield* Effect.promise(() => client.readResource({ uri }))
      assert.strictEqual(read.contents[0]?.uri, uri)
      const { prompts } = yield* Effect.promise(() => client.listPrompts())
      assert.include(prompts.map(({ name }) => name), "all_simple-prompt")
      const { messages } = yield* Effect.promise(() => client.getPrompt({ name: "all_simple-prompt" }))
      assert.isAbove(messages.length, 0)
      const { completion } = yield* Effect.promise(() =>
        client.complete({
          ref: { type: "ref/prompt", name: "all_completable-prompt" },
          argument: { name: "department", value: "E" }
        })
      )
      assert.include(completion.values, "Engineering")
      assert.include(client.getInstructions() ?? "", "# all\n")
    }))

  it.live("refuse the start when two tools would have one name, and name both", () =>
    Effect.gen(function*() {
      const [first, second] = [yield* stdio("v1").start, yield* stdio("v1").start]
      const error = yield* Effect.flip(
        startGateway({ first: first.config, second: second.config }, {
          prefix: false,
          include: ["*/echo"],
          resources: []
        })
      )
      if (error._tag !== "NameCollision") return assert.fail(error._tag)
      assert.strictEqual(
        error.message,
        "the tool \"echo\" of the server \"first\" and the tool \"echo\" of the server \"second\" would both be called \"echo\""
      )
    }))

  it.live("refuse the start when two servers have one resource, unless the resources of one are left out", () =>
    Effect.gen(function*() {
      const servers = { first: (yield* stdio("v1").start).config, second: (yield* stdio("v1").start).config }
      const error = yield* Effect.flip(startGateway(servers))
      if (error._tag !== "NameCollision") return assert.fail(error._tag)
      assert.strictEqual(
        error.message,
        "the resource \"note://1\" of the server \"first\" and the resource \"note://1\" of the server \"second\" have the same URI"
      )
      const { url } = yield* startGateway(servers, { resources: ["second"] })
      const { client } = yield* connectV1(url)
      const { resources } = yield* Effect.promise(() => client.listResources())
      assert.deepStrictEqual(resources.map(({ uri }) => uri), ["note://1"])
    }))

  it("are named in an error of bounded length when many collide", () => {
    const collisions = Array.from({ length: 1000 }, (_, index) => {
      const name = `note://${index}`
      return { kind: "resource" as const, name, first: { server: "a", name }, second: { server: "b", name } }
    })
    const lines = new Gateway.NameCollision({ collisions }).message.split("\n")
    assert.deepStrictEqual([lines.length, lines.at(-1)], [6, "and 995 more"])
  })

  it.live("lack only the tools of a server that is down, and clients are notified when it is there", () =>
    Effect.gen(function*() {
      const good = yield* stdio("v1").start
      const state = { isUp: false }
      const scripted = yield* Http.start(({ message: { id, method }, response }) => {
        if (!state.isUp) response.writeHead(503).end()
        else if (method === "tools/list") Http.json(response, Http.result(id, { tools: [tool("echo")] }))
        else return false
        return true
      })
      const late = { url: scripted.url, protocol: "legacy" as const }
      const { url } = yield* startGateway({ good: good.config, late }, { exclude: ["good/vague"] })
      const changes = yield* Queue.unbounded<string>()
      const { client } = yield* connectV1(url, {
        prepare: (client) =>
          client.setNotificationHandler(ToolListChangedNotificationSchema, ({ method }) => {
            Queue.offerUnsafe(changes, method)
          })
      })
      const names = Effect.map(
        Effect.promise(() => client.listTools()),
        ({ tools }) => tools.map(({ name }) => name)
      )
      assert.include(yield* names, "good_echo")
      assert.notInclude(yield* names, "late_echo")
      state.isUp = true
      while (!(yield* names).includes("late_echo")) yield* Queue.take(changes)
    }))

  it.live("of a client whose own session has changed are those of that session, for that client alone", () =>
    Effect.gen(function*() {
      const changed = new Set<unknown>()
      const server = yield* Http.start(({ message: { id, method }, request, response }) => {
        const session = request.headers["mcp-session-id"]
        if (method === "tools/list") {
          const names = changed.has(session) ? ["change", "extra"] : ["change"]
          Http.json(response, Http.result(id, { tools: names.map(tool) }))
        } else if (method === "tools/call") {
          changed.add(session)
          Http.stream(response, Http.event({ jsonrpc: "2.0", method: "notifications/tools/list_changed" }))
          response.end(Http.event(Http.toolResult(id, "changed")))
        } else return false
        return true
      })
      const { url } = yield* startGateway({ only: { url: server.url, protocol: "legacy" } })
      const connect = Effect.gen(function*() {
        const changes = yield* Queue.unbounded<string>()
        const { client } = yield* connectV1(url, {
          prepare: (client) =>
            client.setNotificationHandler(ToolListChangedNotificationSchema, ({ method }) => {
              Queue.offerUnsafe(changes, method)
            })
        })
        const names = Effect.map(
          Effect.promise(() => client.listTools()),
          ({ tools }) => tools.map(({ name }) => name)
        )
        return { changes, client, names }
      })
      const [own, other] = [yield* connect, yield* connect]
      yield* Effect.promise(() => own.client.callTool({ name: "change" }))
      yield* Queue.take(own.changes)
      assert.deepStrictEqual(yield* own.names, ["change", "extra"])
      assert.deepStrictEqual(yield* other.names, ["change"])
      // The response to a later request would have come after a notification.
      assert.strictEqual(yield* Queue.size(other.changes), 0)
    }))
})

describe("notifications of a server", () => {
  it.live("reach the client that subscribed to the resource, and end with the subscription", () =>
    Effect.gen(function*() {
      const { config, ledger } = yield* http("v1").start
      const { url } = yield* startGateway({ only: { ...config, protocol: "legacy" } })
      const updates = yield* Queue.unbounded<string>()
      const { client } = yield* connectV1(url, {
        prepare: (client) =>
          client.setNotificationHandler(ResourceUpdatedNotificationSchema, ({ params: { uri } }) => {
            Queue.offerUnsafe(updates, uri)
          })
      })
      yield* Effect.promise(() => client.subscribeResource({ uri: "note://1" }))
      assert.deepStrictEqual(ledger("subscribe"), ["note://1"])
      yield* Effect.promise(() => client.callTool({ name: "change", arguments: { uri: "note://1" } }))
      assert.strictEqual(yield* Queue.take(updates), "note://1")
      yield* Effect.promise(() => client.unsubscribeResource({ uri: "note://1" }))
      yield* until(() => ledger("unsubscribe"), (uris) => uris.length === 1)
    }))

  it.live("of its log reach the client whose call caused them, at the level that it set", () =>
    Effect.gen(function*() {
      const { config } = yield* stdio("v1").start
      const { url } = yield* startGateway({ only: config })
      const logs = yield* Queue.unbounded<unknown>()
      const { client } = yield* connectV1(url, {
        prepare: (client) =>
          client.setNotificationHandler(LoggingMessageNotificationSchema, ({ params }) => {
            Queue.offerUnsafe(logs, params)
          })
      })
      yield* Effect.promise(() => client.setLoggingLevel("error"))
      const said = yield* Effect.promise(() => client.callTool({ name: "log" }))
      assert.strictEqual(textOf(said), "logged")
      assert.deepStrictEqual(yield* Queue.take(logs), { level: "error", data: "a failure" })
    }))
})

describe("an offer", () => {
  const rules = { hasPrefix: true, hasResources: () => true, isOffered: () => true }
  const offerOf = (servers: ReadonlyArray<Listed>, nameOwners = new NameOwners()) =>
    new Offer({ listed: servers, rules, nameOwners })
  const listed = (server: string, lists: Partial<typeof noLists>) => ({ server, lists: { ...noLists, ...lists } })

  it("lets the first server of the configuration have a name and a URI", () => {
    const note = (name: string) => ({ uri: "note://1", name })
    const offer = offerOf([
      listed("a", { tools: [tool("b_c")], resources: [note("first")] }),
      listed("a_b", { tools: [tool("c")], resources: [note("second")] })
    ])
    assert.strictEqual(offer.tool("a_b_c")?.server, "a")
    assert.strictEqual(offer.serverOf("note://1"), "a")
    assert.deepStrictEqual(offer.collisions, [
      { kind: "tool", name: "a_b_c", first: { server: "a", name: "b_c" }, second: { server: "a_b", name: "c" } },
      {
        kind: "resource",
        name: "note://1",
        first: { server: "a", name: "note://1" },
        second: { server: "a_b", name: "note://1" }
      }
    ])
  })

  it("keeps a name and a URI for the server that listed it first, whatever another server lists later", () => {
    const nameOwners = new NameOwners()
    const secrets = { resources: [{ uri: "file:///secrets", name: "secrets" }], tools: [tool("c")] }
    const template = { resourceTemplates: [{ uriTemplate: "file:///{path}", name: "files" }] }
    const before = offerOf([listed("hostile", {}), listed("own", secrets)], nameOwners)
    assert.strictEqual(before.serverOf("file:///secrets"), "own")
    const after = offerOf([listed("hostile", { ...secrets, ...template }), listed("own", secrets)], nameOwners)
    assert.strictEqual(after.serverOf("file:///secrets"), "own")
    assert.deepStrictEqual(after.collisions.map(({ first, second }) => [first.server, second.server]), [[
      "own",
      "hostile"
    ]])
    // Also while the first server does not list it.
    const without = offerOf([listed("hostile", secrets), listed("own", {})], nameOwners)
    assert.deepStrictEqual(without.resources, [])
  })

  it("keeps what the session of one client lists from taking a name or a URI from other clients", () => {
    const open = () => Effect.never
    const rules = { hasPrefix: false, hasResources: () => true, isOffered: () => true }
    const catalog = new Catalog({ ...rules, servers: ["hostile", "own"], open })
    const lists = { tools: [tool("c")], resources: [{ uri: "file:///secrets", name: "secrets" }] }
    assert.strictEqual(catalog.offerWith(new Map([["hostile", lists]])).serverOf("file:///secrets"), "hostile")
    const other = catalog.offerWith(new Map([["own", lists]]))
    assert.deepStrictEqual([other.serverOf("file:///secrets"), other.tool("c")?.server], ["own", "own"])
  })

  it("lets the template that was listed first have a URI that several fit", () => {
    const nameOwners = new NameOwners()
    const files = listed("files", { resourceTemplates: [{ uriTemplate: "file:///{path}", name: "files" }] })
    const broad = { resourceTemplates: [{ uriTemplate: "{+anything}", name: "anything" }] }
    offerOf([listed("hostile", {}), files], nameOwners)
    const offer = offerOf([listed("hostile", broad), files], nameOwners)
    assert.strictEqual(offer.serverOf("file:///secrets"), "files")
    assert.strictEqual(offer.serverOf("http://other"), "hostile")
  })

  it("knows the server of a URI by its template, and of any URI if there is one server", () => {
    const template = { uriTemplate: "file:///{path}", name: "files" }
    const two = offerOf([listed("files", { resourceTemplates: [template] }), listed("other", {})])
    assert.strictEqual(two.serverOf("file:///a"), "files")
    assert.isUndefined(two.serverOf("http://a"))
    assert.strictEqual(offerOf([listed("files", {})]).serverOf("http://a"), "files")
  })

  it("matches a template by its literal parts, in their order and without overlap", () => {
    const matches = (template: string, uri: string) => isFrom({ literals: literalsOf(template), uri })
    assert.isTrue(matches("a://{x}/b/{y}.txt", "a://1/b/2.txt"))
    assert.isFalse(matches("a://{x}/b/{y}.txt", "a://1/c/2.txt"))
    assert.isFalse(matches("a://{x}/b/{y}/b", "a://1/b"))
    assert.isTrue(matches("a://b", "a://b"))
    assert.isFalse(matches("a://b", "a://bc"))
    assert.isFalse(matches("{x}aa{y}aa", "aaa"))
  })
})
