/**
 * Questions to a client of a revision up to 2025-11-25 that can no longer reach it, and changes that it has not heard of.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, PubSub, Scope } from "effect"
import {
  type ClientOptions,
  ClientSession
} from "../../../packages/transports/src/internal/gateway/client/clientSession.ts"
import { codes } from "../../../packages/transports/src/internal/gateway/protocol/rpc.ts"
import { EventStreams } from "../../../packages/transports/src/internal/gateway/streams/eventStreams.ts"
import { KeptMessages } from "../../../packages/transports/src/internal/gateway/streams/keptMessages.ts"
import { makeResponse } from "../../fixtures/response.ts"

const mebi = 1024 ** 2

/** A client that has initialized. It has no servers. */
const start = (kept = new KeptMessages()) =>
  Effect.gen(function*() {
    const scope = yield* Effect.acquireRelease(Scope.make(), (scope, exit) => Scope.close(scope, exit))
    const parts: unknown = {
      name: "client",
      principal: "alice",
      owner: "alice client",
      protocolVersion: "2025-11-25",
      capabilities: {},
      scope,
      catalog: {},
      tasks: {},
      upstreams: () => ({}),
      streams: yield* EventStreams.make(() => 0),
      kept,
      now: () => 0
    }
    const client = new ClientSession(parts as ClientOptions, yield* PubSub.sliding<void>(1))
    /** Asks, and gives the fiber that waits for the answer, with the code of the error that it ends with. */
    const ask = (text: string) =>
      Effect.forkChild(
        Effect.match(
          client.ask("elicitation/create", { message: text }, { server: "only", call: undefined, key: undefined }),
          { onFailure: ({ code }) => code, onSuccess: () => undefined }
        ),
        { startImmediately: true }
      )
    return { client, ask }
  })

/** The code of the error that a question has ended with; `undefined` while it waits. */
const codeOf = (asked: Fiber.Fiber<number | undefined>) =>
  Effect.map(Effect.yieldNow, () => {
    const exit = asked.pollUnsafe()
    return exit !== undefined && Exit.isSuccess(exit) ? exit.value : undefined
  })

/** The id of the latest event. */
const lastIdOf = (text: string): string =>
  [...text.matchAll(/^id: (.*)$/gm)].at(-1)?.[1] ?? assert.fail("there is no event")

describe("a question that can no longer reach its client", () => {
  it.effect("fails at once if it is dropped from the messages that wait for a stream", () =>
    Effect.gen(function*() {
      const { ask, client } = yield* start()
      const asked = yield* ask("first")
      for (let message = 0; message < 63; message++) client.send(`"${message}"`)
      assert.isUndefined(asked.pollUnsafe())
      client.send("\"one more\"")
      assert.strictEqual(yield* codeOf(asked), codes.limited)
    }))

  it.effect("fails at once if it is longer than the messages that may wait for a stream", () =>
    Effect.gen(function*() {
      const { ask } = yield* start()
      assert.strictEqual(yield* codeOf(yield* ask("x".repeat(4 * mebi))), codes.limited)
    }))

  it.effect("fails at once if the gateway forgets it for the sake of other clients, or its session ends", () =>
    Effect.gen(function*() {
      const { ask, client } = yield* start(new KeptMessages(200))
      const forgotten = yield* ask("forgotten")
      client.send(`"${"x".repeat(200)}"`)
      assert.strictEqual(yield* codeOf(forgotten), codes.limited)
      const ended = yield* ask("ended")
      client.output.end()
      assert.strictEqual(yield* codeOf(ended), codes.limited)
      assert.strictEqual(yield* codeOf(yield* ask("after the end")), codes.limited)
    }))

  it.effect("fails when the client resumes before it and it is forgotten, and waits if the client has read it or receives it again", () =>
    Effect.gen(function*() {
      const { ask, client } = yield* start()
      const first = makeResponse()
      client.output.open(first.response)
      const before = lastIdOf(first.text())
      const forgotten = yield* ask("forgotten")
      const read = lastIdOf(first.text())
      client.resumable.ofClient?.forget()
      const kept = yield* ask("kept")
      first.response.destroy()
      const second = makeResponse()
      client.output.open(second.response, read)
      assert.include(second.text(), "kept")
      assert.deepStrictEqual([forgotten.pollUnsafe(), kept.pollUnsafe()], [undefined, undefined])
      second.response.destroy()
      client.output.open(makeResponse().response, before)
      assert.strictEqual(yield* codeOf(forgotten), codes.limited)
      assert.isUndefined(kept.pollUnsafe())
      yield* Fiber.interrupt(kept)
    }))

  it.effect("fails when the client resumes before it in a stream that is not kept", () =>
    Effect.gen(function*() {
      const { ask, client } = yield* start()
      const { response, text } = makeResponse()
      client.output.open(response)
      const before = lastIdOf(text())
      const asked = yield* ask("lost")
      client.resumable.close()
      assert.isUndefined(asked.pollUnsafe())
      assert.strictEqual(client.output.open(makeResponse().response, before), "unknown")
      assert.strictEqual(yield* codeOf(asked), codes.limited)
    }))
})

describe("a client that has missed notifications", () => {
  const changes = ["tools", "resources", "prompts"].map((list) => `notifications/${list}/list_changed`)
  const announced = (text: string): ReadonlyArray<string> =>
    [...text.matchAll(/"method":"([^"]*)"/g)].map(([, method = ""]) => method)

  it.effect("learns with its next stream that its lists and its subscriptions may have changed", () =>
    Effect.gen(function*() {
      const { client } = yield* start()
      const follow = (established: Effect.Effect<void>) => Effect.andThen(established, Effect.never)
      yield* client.subscriptions.add("note://1", { server: "only", follow })
      for (let message = 0; message < 65; message++) client.send(`"${message}"`)
      const { response, text } = makeResponse()
      client.output.open(response)
      assert.deepStrictEqual(announced(text()), [...changes, "notifications/resources/updated"])
      const again = makeResponse()
      client.output.open(again.response)
      assert.isEmpty(announced(again.text()))
    }))

  it.effect("learns of it when it resumes before what was forgotten, or the stream of another process", () =>
    Effect.gen(function*() {
      const { client } = yield* start()
      const first = makeResponse()
      client.output.open(first.response)
      const before = lastIdOf(first.text())
      client.send("\"forgotten\"")
      client.resumable.ofClient?.forget()
      first.response.destroy()
      const second = makeResponse()
      client.output.open(second.response, before)
      assert.deepStrictEqual(announced(second.text()), changes)
      const other = (yield* start()).client
      const moved = makeResponse()
      other.output.open(moved.response, before)
      assert.deepStrictEqual(announced(moved.text()), changes)
    }))
})
