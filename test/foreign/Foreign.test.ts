/**
 * Servers of other people that come with the repository: connected to in both protocols, used, restarted and closed. The rest of
 * `docs/servers.md` is checked by `pnpm foreign`.
 */
import { assert, describe, it } from "@effect/vitest"
import { ClientHandlers, type Mcp, type ServerConfig, Sessions } from "@mcp-sessions/core"
import { Transports } from "@mcp-sessions/transports"
import { Deferred, Effect, Fiber, Layer } from "effect"
import { until } from "../fixtures/peer.ts"
import { sound } from "../fixtures/soundOptions.ts"
import { getForeign, layerOf, rowsOf } from "./negotiate.ts"
import { read } from "./page.ts"
import { type Running, start } from "./running.ts"
import { named, protocols, servers, tested, waysOf } from "./servers.ts"

const page = read()
const overHttp = named("server-everything streamableHttp")

const onlyConfigOf = ({ configs }: Running): ServerConfig.ServerConfigInput => {
  const [config] = Object.values(configs)
  assert.isDefined(config)
  return config
}

describe.concurrent("servers of other people", () => {
  it("are tested in several languages and frameworks", () => {
    const packages = tested.map(({ from }) => from)
    assert.includeMembers(packages, ["@modelcontextprotocol/server-everything", "supergateway", "tmcp"])
    if (process.platform === "linux" && process.arch === "x64") {
      assert.includeMembers(packages, ["mcp-time-linux-x64", "@leanspec/mcp-linux-x64"])
    }
  })

  it("are on the page, each transport in each protocol, and no others are", () => {
    const ways = servers.flatMap((foreign) =>
      waysOf(foreign).flatMap((way) => protocols.map((protocol) => `${foreign.name}, ${way}, ${protocol}`))
    )
    assert.deepStrictEqual(page.map(([server, , transport, protocol]) => `${server}, ${transport}, ${protocol}`), ways)
  })

  for (const foreign of tested) {
    const restarted = foreign.restarted !== undefined
      ? ", a call gets through after it was restarted under a session"
      : ""
    it.live(`${foreign.name} is used in both protocols as the page says${restarted}, and nothing is left of it`, () =>
      Effect.gen(function*() {
        assert.deepStrictEqual(
          yield* rowsOf(foreign),
          page.filter(([server]) => server === foreign.name)
        )
      }))
  }

  for (const foreign of [overHttp, named("server-everything sse")]) {
    it.live(`${foreign.name} is restarted during a call, which ends as OutcomeUnknown and is not sent again`, () =>
      Effect.gen(function*() {
        const running = yield* start(foreign)
        yield* Effect.gen(function*() {
          const session = yield* getForeign
          const begun = yield* Deferred.make<void>()
          const onProgress = () => Deferred.succeed(begun, undefined)
          const long = session.callTool("trigger-long-running-operation", { duration: 600, steps: 6000 }, {
            onProgress
          })
          const call = yield* Effect.forkChild(Effect.flip(sound(long)))
          yield* Deferred.await(begun)
          yield* running.restart
          const { reason } = yield* Fiber.join(call)
          assert.deepInclude(reason, { _tag: "OutcomeUnknown", tool: "trigger-long-running-operation" })
          yield* session.listTools()
          assert.strictEqual(yield* session.generation, 2)
        }).pipe(Effect.scoped, Effect.provide(layerOf(onlyConfigOf(running))))
      }).pipe(Effect.scoped))
  }

  for (const foreign of [named("server-everything"), overHttp]) {
    it.live(`${foreign.name} completes arguments, lists templates, reports progress, and runs a tool as a task that asks its user`, () =>
      Effect.gen(function*() {
        const handlers = Layer.succeed(ClientHandlers.ClientHandlers, {
          elicitation: { form: () => Effect.succeed({ action: "accept", content: { interpretation: "technical" } }) }
        })
        const layer = Sessions.layer({ servers: { foreign: onlyConfigOf(yield* start(foreign)) } }).pipe(
          Layer.provide(Layer.merge(Transports.layer, handlers))
        )
        yield* Effect.gen(function*() {
          const session = yield* getForeign
          const prompt = { type: "ref/prompt", name: "completable-prompt" } as const
          const department = yield* session.complete(prompt, { name: "department", value: "S" })
          assert.deepStrictEqual(department.values, ["Sales", "Support"])
          const context = { department: "Sales" }
          const person = yield* session.complete(prompt, { name: "name", value: "" }, { context })
          assert.deepStrictEqual(person.values, ["David", "Eve", "Frank"])
          const templates = yield* session.listResourceTemplates()
          assert.include(templates.map(({ uriTemplate }) => uriTemplate), "demo://resource/dynamic/text/{resourceId}")
          const reports: Array<number> = []
          const onProgress = ({ progress }: Mcp.Progress) => void reports.push(progress)
          yield* session.callTool("trigger-long-running-operation", { duration: 0.3, steps: 3 }, { onProgress })
          assert.deepStrictEqual(reports, [1, 2, 3])

          const states: Array<string> = []
          const task = { onTask: ({ status }: Mcp.Task) => void states.push(status) }
          const query = { topic: "sessions", ambiguous: true }
          const { content: [block] } = yield* session.callTool("simulate-research-query", query, { task })
          assert.include(JSON.stringify(block), "technical")
          // A poll may see the end before the result has come.
          const seen = [...new Set(states)].filter((status) => status !== "completed")
          assert.deepStrictEqual(seen, ["working", "input_required"])
          assert.isTrue((yield* session.callTool("simulate-research-query", query)).isError)
        }).pipe(Effect.scoped, Effect.provide(layer))
      }).pipe(Effect.scoped))
  }

  it.live("server-everything over HTTP logs that its session was ended", () =>
    Effect.gen(function*() {
      const running = yield* start(overHttp)
      yield* Effect.flatMap(Sessions.Sessions, (sessions) => sessions.callTool("foreign", "echo", { message: "x" }))
        .pipe(Effect.provide(layerOf(onlyConfigOf(running))))
      yield* until(running.output, (text) => text.includes("Received session termination request for session "))
      const [, opened] = /Session initialized with ID:? *(\S+)/.exec(running.output()) ?? []
      assert.include(running.output(), `Received session termination request for session ${opened}`)
    }).pipe(Effect.scoped))
})
