/**
 * What a gateway keeps for clients until they open or resume a stream, and the bounds of that.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { ClientOutput } from "../../../packages/transports/src/internal/gateway/client/clientOutput.ts"
import { Backlog } from "../../../packages/transports/src/internal/gateway/streams/backlog.ts"
import { EventStreams } from "../../../packages/transports/src/internal/gateway/streams/eventStreams.ts"
import { KeptMessages } from "../../../packages/transports/src/internal/gateway/streams/keptMessages.ts"
import { textOf } from "../../../packages/transports/src/internal/gateway/streams/outgoing.ts"
import { ResumableStreams } from "../../../packages/transports/src/internal/gateway/streams/resumableStream.ts"
import { makeResponse } from "../../fixtures/response.ts"

const mebi = 1024 ** 2

/** The streams of a session, and a clock that the test moves. */
const start = (kept = new KeptMessages().of("alice")) =>
  Effect.map(
    EventStreams.make(() => 0),
    (events) => {
      let now = 0
      let gaps = 0
      const onGap = () => void gaps++
      const streams = new ResumableStreams({
        name: "client",
        protocolVersion: "2025-11-25",
        streams: events,
        kept,
        onGap,
        now: () => now
      })
      /** Begins a stream for a request, whose response is `response`. */
      const begin = (id: number) => {
        const made = makeResponse()
        return { ...made, stream: streams.begin(made.response, [id]) }
      }
      /** Resumes a stream after its event with a text. Returns the text of the new response, or the reason of the refusal. */
      const resume = (text: string, event = 0) => {
        const id = [...text.matchAll(/^id: (.*)$/gm)].map(([, id = ""]) => id).at(event) ?? ""
        const made = makeResponse()
        const resumed = streams.resume(id, made.response)
        if (typeof resumed === "string") return resumed
        return "error" in resumed ? resumed.error.message : made.text()
      }
      return {
        streams,
        begin,
        resume,
        output: new ClientOutput({ streams, kept, onGap }),
        gaps: () => gaps,
        pass: (millis: number) => void (now += millis)
      }
    }
  )

describe("the stream of a client", () => {
  it.effect("is resumed by its events however many requests have had streams since it broke", () =>
    Effect.gen(function*() {
      const { begin, output, resume } = yield* start()
      const first = makeResponse()
      output.open(first.response)
      output.send("\"before\"")
      first.response.destroy()
      for (let id = 0; id < 100; id++) begin(id).stream.end()
      assert.include(resume(first.text()), "\"before\"")
      assert.isTrue(output.send("\"after\""))
    }))

  it.effect("begins anew once it was left for more than 5 minutes, and is kept until then", () =>
    Effect.gen(function*() {
      const { output, pass, resume, streams } = yield* start()
      const first = makeResponse()
      output.open(first.response)
      output.release(first.response)
      pass(5 * 60_000)
      streams.sweep()
      assert.isDefined(streams.ofClient)
      pass(1)
      streams.sweep()
      assert.isUndefined(streams.ofClient)
      assert.strictEqual(resume(first.text()), "unknown")
      const second = makeResponse()
      output.open(second.response)
      output.send("\"after\"")
      second.response.destroy()
      assert.include(resume(second.text()), "\"after\"")
    }))
})

describe("the streams for requests of one session", () => {
  it.effect("are kept whatever their number while their responses are open", () =>
    Effect.gen(function*() {
      const { begin, resume } = yield* start()
      const begun = Array.from({ length: 40 }, (_, id) => begin(id))
      for (const { response, stream, text } of begun) {
        response.destroy()
        stream.settle("\"missed\"")
        assert.include(resume(text()), "\"missed\"")
      }
    }))

  it.effect("are 32 without a response, and those that have ended are forgotten first", () =>
    Effect.gen(function*() {
      const { begin, resume } = yield* start()
      const inFlight = begin(0)
      inFlight.response.destroy()
      const ended = Array.from({ length: 40 }, (_, id) => {
        const made = begin(id + 1)
        made.response.destroy()
        made.stream.settle("\"result\"")
        made.stream.end()
        return made
      })
      inFlight.stream.settle("\"result\"")
      assert.include(resume(inFlight.text()), "\"result\"")
      const known = ended.filter(({ text }) => resume(text()) !== "unknown")
      // The last one was begun, and ended afterwards.
      assert.deepStrictEqual(known, ended.slice(-31))
    }))

  it.effect("keep the last 256 messages and 4 Mi characters each", () =>
    Effect.gen(function*() {
      const { begin, resume } = yield* start()
      const many = begin(1)
      for (let message = 0; message < 300; message++) many.stream.send(`"message ${message}"`)
      many.response.destroy()
      const resumed = resume(many.text())
      assert.notInclude(resumed, "\"message 43\"")
      assert.include(resumed, "\"message 44\"")
      const large = begin(2)
      large.stream.send(`"first ${"x".repeat(3 * mebi)}"`)
      large.stream.send(`"second ${"x".repeat(3 * mebi)}"`)
      large.response.destroy()
      const rest = resume(large.text())
      assert.notInclude(rest, "\"first")
      assert.include(rest, "\"second")
    }))
})

describe("the messages for a client without a stream", () => {
  it.effect("are 64, the last ones, and arrive in their order on the stream that it opens", () =>
    Effect.gen(function*() {
      const { output } = yield* start()
      for (let message = 0; message < 100; message++) output.keep(`"message ${message}"`)
      const { response, text } = makeResponse()
      output.open(response)
      const arrived = [...text().matchAll(/"message (\d+)"/g)].map(([, number]) => Number(number))
      assert.deepStrictEqual(arrived, Array.from({ length: 64 }, (_, index) => index + 36))
      const again = makeResponse()
      output.open(again.response)
      assert.notInclude(again.text(), "message")
    }))

  it("have 4 Mi characters at most, and one that is longer is dropped", () => {
    const backlog = new Backlog(new KeptMessages().of("alice"))
    const taken: Array<string> = []
    for (const letter of ["a", "b", "c"]) backlog.add(letter.repeat(2 * mebi))
    assert.strictEqual(backlog.size, 4 * mebi)
    backlog.flush((message) => taken.push(textOf(message).slice(0, 1)) > 0)
    assert.deepStrictEqual([taken.join(""), backlog.size], ["bc", 0])
    backlog.add("kept")
    backlog.add("x".repeat(4 * mebi + 1))
    assert.strictEqual(backlog.size, 4)
  })

  it("stay that the stream does not take", () => {
    const backlog = new Backlog(new KeptMessages().of("alice"))
    for (const message of ["1", "2", "3"]) backlog.add(message)
    const taken: Array<string> = []
    backlog.flush((message) => message !== "2" && taken.push(textOf(message)) > 0)
    backlog.flush((message) => taken.push(textOf(message)) > 0)
    assert.deepStrictEqual(taken, ["1", "2", "3"])
  })

  it.effect("are dropped with its session, and none is kept afterwards", () =>
    Effect.gen(function*() {
      const kept = new KeptMessages(10)
      const other = new Backlog(kept.of("alice"))
      const { output } = yield* start(kept.of("alice"))
      other.add("12345")
      output.keep("12345")
      output.end()
      other.add("6")
      output.keep("12345")
      assert.strictEqual(other.size, 6)
    }))
})

describe("a client that resumes before messages that were forgotten", () => {
  it.effect("receives an error in place of a response that is not kept, and the response if it is", () =>
    Effect.gen(function*() {
      const kept = new KeptMessages().of("alice")
      const { begin, gaps, resume } = yield* start(kept)
      const [large, forgotten, small] = [begin(1), begin(2), begin(3)]
      for (const { response } of [large, forgotten, small]) response.destroy()
      large.stream.settle(`"${"x".repeat(4 * mebi)}"`)
      large.stream.end()
      forgotten.stream.settle("\"result\"")
      forgotten.stream.forget()
      small.stream.settle("\"result\"")
      small.stream.end()
      const error = "the response was forgotten before the client resumed its stream"
      assert.deepStrictEqual([resume(large.text()), resume(forgotten.text())], [error, error])
      assert.include(resume(small.text()), "\"result\"")
      assert.strictEqual(gaps(), 0)
    }))

  it.effect("causes one announcement on the stream that lacks messages, and none on one that has them all", () =>
    Effect.gen(function*() {
      const { gaps, output, resume, streams } = yield* start()
      const { response, text } = makeResponse()
      output.open(response)
      output.send("\"read\"")
      output.send("\"forgotten\"")
      streams.ofClient?.forget()
      response.destroy()
      resume(text(), -1)
      assert.strictEqual(gaps(), 0)
      resume(text(), 1)
      assert.strictEqual(gaps(), 1)
    }))

  it.effect("keeps the messages before one that is too long to be kept", () =>
    Effect.gen(function*() {
      const { begin, resume } = yield* start()
      const { response, stream, text } = begin(1)
      stream.send("\"first\"")
      stream.send(`"${"x".repeat(4 * mebi)}"`)
      response.destroy()
      assert.include(resume(text()), "\"first\"")
    }))
})

describe("what a gateway keeps for all clients", () => {
  it.effect("has one bound, beyond which those that began first forget their messages", () =>
    Effect.gen(function*() {
      const kept = new KeptMessages(100).of("alice")
      const { begin, resume } = yield* start(kept)
      const [old, young] = [begin(1), new Backlog(kept)]
      old.stream.send(`"${"o".repeat(48)}"`)
      young.add("y".repeat(50))
      assert.strictEqual(old.stream.size, 50)
      young.add("z")
      assert.deepStrictEqual([old.stream.size, young.size], [0, 51])
      old.stream.send(`"${"n".repeat(47)}"`)
      assert.deepStrictEqual([old.stream.size, young.size], [49, 51])
      old.response.destroy()
      assert.include(resume(old.text(), 1), "nnn")
    }))

  it("is forgotten of the principal and the session for which most is kept, and a principal keeps what is below its share", () => {
    const kept = new KeptMessages(90)
    const [bob, carol] = [new Backlog(kept.of("bob")), new Backlog(kept.of("carol"))]
    const [small, large] = [new Backlog(kept.of("alice")), new Backlog(kept.of("alice"))]
    bob.add("b".repeat(29))
    small.add("s".repeat(20))
    for (let message = 0; message < 10; message++) large.add("l".repeat(30))
    carol.add("c".repeat(29))
    assert.deepStrictEqual([bob.size, carol.size, small.size], [29, 29, 20])
    assert.isAtMost(large.size, 90 - 29 - 29 - 20)
  })
})
