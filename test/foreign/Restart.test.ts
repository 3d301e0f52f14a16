/**
 * Servers that no one here wrote, killed and started again at the same address under a session that goes on.
 */
import { assert, describe, it } from "@effect/vitest"
import { RetryPolicy, type ServerConfig, Sessions } from "@mcp-sessions/core"
import { Transports } from "@mcp-sessions/transports"
import { Deferred, Effect, Fiber, Layer } from "effect"
import { until } from "../fixtures/peer.ts"
import { type Foreign, type Running, servers, versionOf } from "./servers.ts"

const named = (name: string): Foreign => {
  const found = servers.find((server) => server.name === name)
  if (found === undefined) throw new Error(`there is no ${name}`)
  return found
}

/** In which ways each is met. Where nothing is said, the era is the legacy one. */
const restarted: ReadonlyArray<readonly [name: string, protocols: ReadonlyArray<"auto" | "legacy">]> = [
  ["server-everything streamableHttp", ["auto"]],
  ["server-everything sse", ["auto"]],
  ["example simpleStreamableHttp", ["auto"]],
  ["example jsonResponseStreamableHttp", ["auto"]],
  ["example ssePollingExample", ["auto"]],
  ["on fastmcp, httpStream", ["auto"]],
  ["mcp-proxy", ["auto", "legacy"]]
]

const get = Effect.flatMap(Sessions.Sessions, (sessions) => sessions.get("s"))

const layerOf = (config: ServerConfig.ServerConfigInput) =>
  Sessions.layer({ servers: { s: config }, retry: RetryPolicy.never }).pipe(Layer.provide(Transports.layer))

const meetAgain = Effect.fnUntraced(function*(
  { answer, args, tool }: Foreign,
  running: Running,
  config: ServerConfig.ServerConfigInput
) {
  yield* Effect.gen(function*() {
    const session = yield* get
    const { era } = yield* session.info
    yield* session.listTools()
    yield* running.restart
    const { content: [block] } = yield* session.callTool(tool, args)
    assert.include(block?.type === "text" ? block.text : "", answer)
    // What is stateless has nothing to begin anew.
    assert.strictEqual(yield* session.generation, era === "modern" ? 1 : 2)
    if (era === "modern" || config.transport !== "streamable_http") return
    yield* until(running.sessions, (sessions) => sessions.length > 0)
    assert.strictEqual(running.sessions().length, 1)
  }).pipe(Effect.scoped, Effect.provide(layerOf(config)))
  yield* until(() => running.sockets().open, (open) => open === 0)
})

describe.concurrent("real servers that are restarted", () => {
  for (const [name, protocols] of restarted) {
    const foreign = named(name)
    it.live.skipIf(versionOf(foreign.from) === undefined)(
      `${name} is met again, once, and the next call gets through`,
      () =>
        Effect.gen(function*() {
          const running = yield* foreign.start
          for (const protocol of protocols) {
            for (const config of Object.values(running.configs)) {
              yield* meetAgain(foreign, running, { ...config, protocol })
            }
          }
        }).pipe(Effect.scoped)
    )
  }

  for (const name of ["server-everything streamableHttp", "server-everything sse"]) {
    it.live(`${name} leaves a call unknown that was under way, and is not asked for it again`, () =>
      Effect.gen(function*() {
        const running = yield* named(name).start
        const [config] = Object.values(running.configs)
        if (config === undefined) return assert.fail("it is met in one way")
        yield* Effect.gen(function*() {
          const session = yield* get
          const begun = yield* Deferred.make<void>()
          const long = { duration: 600, steps: 6000 }
          const call = yield* Effect.forkChild(
            Effect.flip(session.callTool("trigger-long-running-operation", long, {
              onProgress: () => Deferred.succeed(begun, undefined)
            }))
          )
          yield* Deferred.await(begun)
          yield* running.restart
          const { reason } = yield* Fiber.join(call)
          assert.deepInclude(reason, { _tag: "OutcomeUnknown", tool: "trigger-long-running-operation" })
          yield* session.listTools()
          assert.strictEqual(yield* session.generation, 2)
        }).pipe(Effect.scoped, Effect.provide(layerOf(config)))
      }).pipe(Effect.scoped))
  }
})
