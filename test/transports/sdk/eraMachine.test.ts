/**
 * The rules of the negotiation of the era, as stories and as invariants over all sequences of events.
 */
import { assert, describe, it } from "@effect/vitest"
import { SessionError } from "@mcp-sessions/core"
import { Schema } from "effect"
import {
  type EraAction,
  type EraEvent,
  type EraState,
  initial,
  isRefusal,
  maxStarts,
  transition
} from "../../../packages/transports/src/internal/sdk/eraMachine.ts"

const noDiscover = new SessionError.HandshakeFailed({ description: "no such method" })
const duplicate = new SessionError.HandshakeFailed({ description: "duplicate initialize" })
const refused = new SessionError.HttpFailed({ status: 400, delivery: "NotSent" })
const unavailable = new SessionError.HttpFailed({ status: 503, delivery: "NotSent" })
const unauthorized = new SessionError.AuthRequired({ status: 401 })
const unreachable = new SessionError.ConnectionRefused({ address: "http://127.0.0.1:1", code: "ECONNREFUSED" })
const exited = new SessionError.ServerExited({ exitCode: 1, signal: null, delivery: "NotSent" })
const closed = new SessionError.TransportClosed({ delivery: "NotSent" })

const opened: EraEvent = { _tag: "Opened" }
const discovered: EraEvent = { _tag: "Discovered" }
const silence: EraEvent = { _tag: "Silence" }
const late: EraEvent = { _tag: "Late" }
const accepted: EraEvent = { _tag: "Accepted" }
const initialized: EraEvent = { _tag: "Initialized" }
const discoverRefused: EraEvent = { _tag: "DiscoverRefused", reason: noDiscover, showsLegacy: true }
const discoverBusy: EraEvent = { _tag: "DiscoverRefused", reason: unavailable, showsLegacy: false }
const discoverFailed: EraEvent = { _tag: "DiscoverFailed", reason: unreachable }
const discoverUnauthorized: EraEvent = { _tag: "DiscoverFailed", reason: unauthorized }
const initializeRefused = (reason: SessionError.ConnectReason): EraEvent => ({ _tag: "InitializeRefused", reason })
const ended = (reason: SessionError.ConnectReason): EraEvent => ({ _tag: "Ended", reason })

const textOf = (action: EraAction | undefined): string =>
  action === undefined ? "-" : action._tag === "Fail" ? `Fail ${action.reason.message}` : action._tag

type Start = Parameters<typeof initial>[0]

const both: Start = { eras: "both", canRestart: true, isKnownLegacy: false }
const starts: Readonly<Record<string, Start>> = {
  stdio: both,
  http: { ...both, canRestart: false },
  remembered: { ...both, isKnownLegacy: true },
  pinned: { ...both, eras: "modern" },
  legacy: { ...both, eras: "legacy" }
}

const all: Readonly<Record<string, EraEvent>> = {
  discovered,
  silence,
  late,
  accepted,
  initialized,
  discoverRefused,
  discoverBusy,
  discoverFailed,
  discoverUnauthorized,
  duplicate: initializeRefused(duplicate),
  refused: initializeRefused(refused),
  unauthorized: initializeRefused(unauthorized),
  exited: ended(exited),
  closed: ended(closed)
}

describe("the negotiation of the era", () => {
  /** The start, the events with the actions that they lead to, and `known` if the server is remembered as a legacy one. */
  const stories: Readonly<Record<string, string>> = {
    "uses the modern era after a valid answer": "stdio: opened -> SendDiscover, discovered -> UseModern",
    "sends initialize after another answer, and remembers it":
      "stdio: opened -> SendDiscover, discoverRefused -> SendInitialize, accepted, initialized -> UseLegacy; known",
    "does not remember an answer that says nothing about the era":
      "http: opened -> SendDiscover, discoverBusy -> SendInitialize, accepted, initialized -> UseLegacy",
    "sends initialize after silence, and does not remember that":
      "stdio: opened -> SendDiscover, silence -> SendInitialize, accepted, initialized -> UseLegacy",
    "lets a late valid answer win over initialize, over HTTP":
      "http: opened -> SendDiscover, silence -> SendInitialize, discovered -> UseModern",
    "asks again after a late valid answer, and uses the modern era if that is confirmed behind initialize":
      "stdio: opened -> SendDiscover, silence -> SendInitialize, discovered -> SendDiscover, accepted, initialized, discovered -> UseModern",
    "starts a server once more for the modern era alone if initialize has turned it":
      "stdio: opened -> SendDiscover, silence -> SendInitialize, discovered -> SendDiscover, accepted, initialized, discoverRefused -> Restart, opened -> SendDiscover, silence, discovered -> UseModern",
    "uses the legacy era, and does not remember it, if there is no time for another start":
      "stdio: opened -> SendDiscover, silence -> SendInitialize, late, discovered -> SendDiscover, accepted, initialized, discoverRefused -> UseLegacy",
    "waits for the handshake of a server that initialize has turned, if there is no time for another start":
      "stdio: opened -> SendDiscover, silence -> SendInitialize, late, discovered -> SendDiscover, accepted, discoverRefused, initialized -> UseLegacy",
    "uses the modern era at once if initialize is refused after a late valid answer":
      "stdio: opened -> SendDiscover, silence -> SendInitialize, discovered -> SendDiscover, duplicate -> UseModern",
    "waits for the confirmation for one whole time limit at least":
      "stdio: opened -> SendDiscover, silence -> SendInitialize, discovered -> SendDiscover, accepted, initialized, silence, silence -> UseLegacy",
    "takes a valid answer for the era of a server that is silent to all that follows":
      "stdio: opened -> SendDiscover, silence -> SendInitialize, discovered -> SendDiscover, silence, silence -> UseModern",
    "lets a late valid answer win over a refusal of initialize":
      "stdio: opened -> SendDiscover, silence -> SendInitialize, duplicate, discovered -> UseModern",
    "stays with initialize once it was accepted":
      "stdio: opened -> SendDiscover, silence -> SendInitialize, accepted, discovered, initialized -> UseLegacy",
    "remembers a late refusal of the probe":
      "stdio: opened -> SendDiscover, silence -> SendInitialize, discoverRefused, accepted, initialized -> UseLegacy; known",
    "starts once more with initialize where both were refused":
      "stdio: opened -> SendDiscover, silence -> SendInitialize, discoverRefused, duplicate -> Restart, opened -> SendInitialize, accepted, initialized -> UseLegacy; known",
    "starts once more in the other order of refusals":
      "stdio: opened -> SendDiscover, silence -> SendInitialize, duplicate, discoverRefused -> Restart, opened -> SendInitialize; known",
    "fails where the second start refuses initialize too":
      "stdio: opened -> SendDiscover, discoverRefused -> SendInitialize, duplicate -> Restart, opened -> SendInitialize, duplicate -> Fail duplicate initialize; known",
    "starts once more when the server exits on the probe":
      "stdio: opened -> SendDiscover, exited -> Restart, opened -> SendInitialize, exited -> Fail the server exited with code 1; known",
    "fails when the channel closes": "stdio: opened -> SendDiscover, closed -> Fail the connection was closed",
    "fails with the refusal when the channel closes after it":
      "stdio: opened -> SendDiscover, silence -> SendInitialize, duplicate, closed -> Fail duplicate initialize",
    "does not start anew over HTTP":
      "http: opened -> SendDiscover, discoverRefused -> SendInitialize, refused -> Fail the server responded with HTTP 400; known",
    "fails when the network fails before initialize":
      "http: opened -> SendDiscover, discoverFailed -> Fail cannot reach http://127.0.0.1:1 (ECONNREFUSED)",
    "leaves it to initialize when the network fails after silence":
      "http: opened -> SendDiscover, silence -> SendInitialize, discoverFailed, accepted, initialized -> UseLegacy",
    "asks for a sign-in when the probe lacks credentials, after initialize was refused":
      "http: opened -> SendDiscover, silence -> SendInitialize, refused, discoverUnauthorized -> Fail the server requires authorization (HTTP 401)",
    "leaves it to initialize when the probe lacks credentials while initialize is open":
      "http: opened -> SendDiscover, silence -> SendInitialize, discoverUnauthorized, accepted, initialized -> UseLegacy",
    "fails at once when initialize lacks credentials, although the probe is open":
      "http: opened -> SendDiscover, silence -> SendInitialize, unauthorized -> Fail the server requires authorization (HTTP 401)",
    "begins with initialize for a server that is known to be legacy":
      "remembered: opened -> SendInitialize, accepted, initialized -> UseLegacy; known",
    "probes a server that no longer accepts initialize":
      "remembered: opened -> SendInitialize, refused -> SendDiscover, discovered -> UseModern",
    "fails where a server that was known refuses both":
      "remembered: opened -> SendInitialize, duplicate -> SendDiscover, discoverRefused -> Fail duplicate initialize; known",
    "probes a second start of a server that was known and exits on initialize":
      "remembered: opened -> SendInitialize, exited -> Restart, opened -> SendDiscover, discovered -> UseModern",
    "knows no silence for a pinned revision": "pinned: opened -> SendDiscover, silence, discovered -> UseModern",
    "fails where a pinned revision is refused":
      "pinned: opened -> SendDiscover, discoverRefused -> Fail no such method; known",
    "fails where initialize alone is allowed and refused":
      "legacy: opened -> SendInitialize, duplicate -> Fail duplicate initialize"
  }
  for (const [title, story] of Object.entries(stories)) {
    it(title, () => {
      const [, start = "", steps = "", known] = /^(\w+): ([^;]+)(; known)?$/.exec(story) ?? []
      let state = initial(starts[start] ?? assert.fail(start))
      for (const step of steps.split(", ")) {
        const [event = "", action = "-"] = step.split(" -> ")
        const next = transition(state, event === "opened" ? opened : all[event] ?? assert.fail(event))
        assert.strictEqual(textOf(next.action), action, step)
        state = next.state
      }
      assert.strictEqual(state.isKnownLegacy, known !== undefined)
    })
  }

  it("takes judgements of the server for refusals, and no failures of the network", () => {
    assert.deepStrictEqual(
      [noDiscover, refused, unavailable, unauthorized, unreachable, exited, closed].map(isRefusal),
      [true, true, false, false, false, false, false]
    )
  })

  const eras = Schema.Literals(["both", "legacy", "modern"])

  /** Feeds events until one settles the negotiation, with `Opened` at each start. */
  const play = (
    start: Start,
    names: ReadonlyArray<string>,
    check: (before: EraState, event: EraEvent, action: EraAction | undefined) => void
  ) => {
    let state = initial(start)
    const feed = (event: EraEvent): EraAction | undefined => {
      const before = state
      const next = transition(state, event)
      state = next.state
      check(before, event, next.action)
      return next.action
    }
    feed(opened)
    for (const name of names) {
      const action = feed(all[name] ?? silence)
      if (action?._tag === "Restart") feed(opened)
      if (action?._tag === "UseModern" || action?._tag === "UseLegacy" || action?._tag === "Fail") return state
    }
    return state
  }

  const sequence = Schema.Array(Schema.Literals(Object.keys(all)))

  it.prop(
    "starts a server twice at most, sends each message once to each start but for one confirmation, and none that is forbidden",
    [eras, Schema.Boolean, Schema.Boolean, sequence],
    ([eras, canRestart, isKnownLegacy, names]) => {
      let starts = 1
      let sent = new Set<string>()
      play({ eras, canRestart, isKnownLegacy }, names, (before, _, action) => {
        if (action?._tag === "Restart") {
          starts++
          sent = new Set()
        }
        if (action?._tag !== "SendDiscover" && action?._tag !== "SendInitialize") return
        const isConfirmation = action._tag === "SendDiscover" && before.discover === "open"
        const message = isConfirmation ? "confirmation" : action._tag
        assert.isFalse(sent.has(message))
        sent.add(message)
        assert.notStrictEqual(
          action._tag,
          eras === "legacy" ? "SendDiscover" : eras === "modern" ? "SendInitialize" : ""
        )
      })
      assert.isAtMost(starts, canRestart && eras === "both" ? maxStarts : 1)
    },
    { arbitrary: { seed: 1, runs: 2000 } }
  )

  it.prop(
    "lets a valid answer win as long as initialize was not accepted, or has it confirmed if initialize is on its way",
    [Schema.Boolean, Schema.Boolean, sequence],
    ([canRestart, isKnownLegacy, names]) => {
      play({ eras: "both", canRestart, isKnownLegacy }, names, (before, event, action) => {
        if (event._tag !== "Discovered" || before.discover !== "open") return
        const isOvertaken = before.initialize === "open" && canRestart
        const expected = isOvertaken ? "SendDiscover" : "UseModern"
        assert.strictEqual(action?._tag, before.initialize === "accepted" ? undefined : expected)
      })
    },
    { arbitrary: { seed: 1, runs: 2000 } }
  )

  it.prop(
    "remembers no server as legacy that has only been silent",
    [
      Schema.Boolean,
      Schema.Array(Schema.Literals(["silence", "accepted", "initialized", "discoverBusy", "discoverFailed"]))
    ],
    ([canRestart, names]) => {
      const state = play({ eras: "both", canRestart, isKnownLegacy: false }, names, () => {})
      assert.isFalse(state.isKnownLegacy)
    }
  )
})
