/**
 * Servers that no one here wrote: started, met in both protocols, used and left. What comes of it is in `docs/servers.md`.
 */
import { assert, describe, it } from "@effect/vitest"
import { ClientHandlers, type Mcp, type ServerConfig, Sessions } from "@mcp-sessions/core"
import { Transports } from "@mcp-sessions/transports"
import { Effect, Layer } from "effect"
import { until } from "../fixtures/peer.ts"
import { negotiate, protocols, waysOf } from "./negotiate.ts"
import { read } from "./page.ts"
import { everythingOverHttp, everythingOverStdio, type Running, servers, versionOf } from "./servers.ts"

const page = read()

const textOf = ({ content }: Mcp.CallToolResult): string =>
  content.map((block) => block.type === "text" ? block.text : "").join("\n")

const onlyConfigOf = (running: Running): ServerConfig.ServerConfigInput => {
  const [config] = Object.values(running.configs)
  assert.isDefined(config)
  return config
}

// Most of the time is spent waiting for them.
describe.concurrent("real servers", () => {
  for (const foreign of servers) {
    const { from, name, start } = foreign
    const isElsewhere = versionOf(from) === undefined

    it.live.skipIf(isElsewhere)(
      `${name} answers in both protocols as written down, and is left clean`,
      () =>
        Effect.gen(function*() {
          const running = yield* start
          for (const way of waysOf(running)) {
            const { processes, result, row, tools } = yield* negotiate({ foreign, running, ...way })
            // What is not seen while it is there is not missed when it is gone.
            assert.isAbove(processes.length, 0)
            assert.include(tools, foreign.tool)
            assert.include(textOf(result), foreign.answer)
            const written = page.find(({ protocol, server, transport }) =>
              server === name && transport === way.transport && protocol === way.protocol
            )
            assert.deepStrictEqual(row, written)
          }
        }).pipe(Effect.scoped)
    )
  }

  for (const { name, start } of [everythingOverStdio, everythingOverHttp]) {
    it.live(`${name} completes arguments, lists templates and reports progress`, () =>
      Effect.gen(function*() {
        const config = onlyConfigOf(yield* start)
        const layer = Sessions.layer({ servers: { foreign: config } }).pipe(Layer.provide(Transports.layer))
        yield* Effect.gen(function*() {
          const session = yield* Effect.flatMap(Sessions.Sessions, (sessions) => sessions.get("foreign"))
          const prompt = { type: "ref/prompt", name: "completable-prompt" } as const
          const department = yield* session.complete(prompt, { name: "department", value: "S" })
          assert.deepStrictEqual(department.values, ["Sales", "Support"])
          const person = yield* session.complete(prompt, { name: "name", value: "" }, {
            context: { department: "Sales" }
          })
          assert.deepStrictEqual(person.values, ["David", "Eve", "Frank"])
          const templates = yield* session.listResourceTemplates()
          assert.include(templates.map(({ uriTemplate }) => uriTemplate), "demo://resource/dynamic/text/{resourceId}")
          const reports: Array<number> = []
          const onProgress = ({ progress }: Mcp.Progress) => void reports.push(progress)
          yield* session.callTool("trigger-long-running-operation", { duration: 0.3, steps: 3 }, { onProgress })
          assert.deepStrictEqual(reports, [1, 2, 3])
        }).pipe(Effect.scoped, Effect.provide(layer))
      }).pipe(Effect.scoped))
  }

  for (const { name, start } of [everythingOverStdio, everythingOverHttp]) {
    it.live(`${name} runs a tool as a task, and asks its user meanwhile`, () =>
      Effect.gen(function*() {
        const config = onlyConfigOf(yield* start)
        const handlers = Layer.succeed(ClientHandlers.ClientHandlers, {
          elicitation: { form: () => Effect.succeed({ action: "accept", content: { interpretation: "technical" } }) }
        })
        const layer = Sessions.layer({ servers: { foreign: config } }).pipe(
          Layer.provide(Layer.merge(Transports.layer, handlers))
        )
        yield* Effect.gen(function*() {
          const session = yield* Effect.flatMap(Sessions.Sessions, (sessions) => sessions.get("foreign"))
          const states: Array<string> = []
          const task = { onTask: ({ status }: Mcp.Task) => void states.push(status) }
          const query = { topic: "sessions", ambiguous: true }
          const { content: [block] } = yield* session.callTool("simulate-research-query", query, { task })
          assert.include(JSON.stringify(block), "technical")
          assert.deepStrictEqual([...new Set(states)], ["working", "input_required"])
          assert.isTrue((yield* session.callTool("simulate-research-query", query)).isError)
        }).pipe(Effect.scoped, Effect.provide(layer))
      }).pipe(Effect.scoped))
  }

  it.live("server-everything over HTTP gets its session back, and says so", () =>
    Effect.gen(function*() {
      const running = yield* everythingOverHttp.start
      const layer = Sessions.layer({ servers: { foreign: onlyConfigOf(running) } }).pipe(
        Layer.provide(Transports.layer)
      )
      yield* Effect.flatMap(Sessions.Sessions, (sessions) => sessions.callTool("foreign", "echo", { message: "x" }))
        .pipe(Effect.provide(layer))
      yield* until(running.said, (text) => text.includes("Received session termination request for session "))
      const [, opened] = /Session initialized with ID:? *(\S+)/.exec(running.said()) ?? []
      assert.include(running.said(), `Received session termination request for session ${opened}`)
    }).pipe(Effect.scoped))

  it("are on the page, in each way that they can be met in, and no others are", () => {
    const ways = servers.flatMap(({ name, transports }) =>
      transports.flatMap((transport) => protocols.map((protocol) => `${name}, ${transport}, ${protocol}`))
    )
    assert.deepStrictEqual(page.map(({ protocol, server, transport }) => `${server}, ${transport}, ${protocol}`), ways)
  })
})
