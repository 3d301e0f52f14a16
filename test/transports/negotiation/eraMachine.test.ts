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

const run = (start: Start, events: ReadonlyArray<EraEvent>) => {
  let state = initial(start)
  const actions: Array<string> = []
  for (const event of events) {
    const next = transition(state, event)
    state = next.state
    actions.push(textOf(next.action))
  }
  return { actions, state }
}

const stdio: Start = { eras: "both", canRestart: true, isKnownLegacy: false }
const http: Start = { ...stdio, canRestart: false }
const remembered: Start = { ...stdio, isKnownLegacy: true }
const pinned: Start = { ...stdio, eras: "modern" }
const legacy: Start = { ...stdio, eras: "legacy" }

describe("the negotiation of the era", () => {
  const stories: ReadonlyArray<
    readonly [
      title: string,
      start: Start,
      events: ReadonlyArray<EraEvent>,
      actions: ReadonlyArray<string>,
      isKnownLegacy: boolean
    ]
  > = [
    ["uses the modern era after a valid answer", stdio, [opened, discovered], ["SendDiscover", "UseModern"], false],
    [
      "sends initialize after another answer, and remembers it",
      stdio,
      [opened, discoverRefused, accepted, initialized],
      ["SendDiscover", "SendInitialize", "-", "UseLegacy"],
      true
    ],
    [
      "does not remember an answer that says nothing about the era",
      http,
      [opened, discoverBusy, accepted, initialized],
      ["SendDiscover", "SendInitialize", "-", "UseLegacy"],
      false
    ],
    [
      "sends initialize after silence, and does not remember that",
      stdio,
      [opened, silence, accepted, initialized],
      ["SendDiscover", "SendInitialize", "-", "UseLegacy"],
      false
    ],
    [
      "lets a late valid answer win over initialize, over HTTP",
      http,
      [opened, silence, discovered],
      ["SendDiscover", "SendInitialize", "UseModern"],
      false
    ],
    [
      "asks again after a late valid answer, and uses the modern era if that is confirmed behind initialize",
      stdio,
      [opened, silence, discovered, accepted, initialized, discovered],
      ["SendDiscover", "SendInitialize", "SendDiscover", "-", "-", "UseModern"],
      false
    ],
    [
      "starts a server once more for the modern era alone if initialize has turned it",
      stdio,
      [opened, silence, discovered, accepted, initialized, discoverRefused, opened, silence, discovered],
      ["SendDiscover", "SendInitialize", "SendDiscover", "-", "-", "Restart", "SendDiscover", "-", "UseModern"],
      false
    ],
    [
      "uses the legacy era, and does not remember it, if there is no time for another start",
      stdio,
      [opened, silence, late, discovered, accepted, initialized, discoverRefused],
      ["SendDiscover", "SendInitialize", "-", "SendDiscover", "-", "-", "UseLegacy"],
      false
    ],
    [
      "waits for the handshake of a server that initialize has turned, if there is no time for another start",
      stdio,
      [opened, silence, late, discovered, accepted, discoverRefused, initialized],
      ["SendDiscover", "SendInitialize", "-", "SendDiscover", "-", "-", "UseLegacy"],
      false
    ],
    [
      "uses the modern era at once if initialize is refused after a late valid answer",
      stdio,
      [opened, silence, discovered, initializeRefused(duplicate)],
      ["SendDiscover", "SendInitialize", "SendDiscover", "UseModern"],
      false
    ],
    [
      "waits for the confirmation for one whole time limit at least",
      stdio,
      [opened, silence, discovered, accepted, initialized, silence, silence],
      ["SendDiscover", "SendInitialize", "SendDiscover", "-", "-", "-", "UseLegacy"],
      false
    ],
    [
      "takes a valid answer for the era of a server that is silent to all that follows",
      stdio,
      [opened, silence, discovered, silence, silence],
      ["SendDiscover", "SendInitialize", "SendDiscover", "-", "UseModern"],
      false
    ],
    [
      "lets a late valid answer win over a refusal of initialize",
      stdio,
      [opened, silence, initializeRefused(duplicate), discovered],
      ["SendDiscover", "SendInitialize", "-", "UseModern"],
      false
    ],
    [
      "stays with initialize once it was accepted",
      stdio,
      [opened, silence, accepted, discovered, initialized],
      ["SendDiscover", "SendInitialize", "-", "-", "UseLegacy"],
      false
    ],
    [
      "remembers a late refusal of the probe",
      stdio,
      [opened, silence, discoverRefused, accepted, initialized],
      ["SendDiscover", "SendInitialize", "-", "-", "UseLegacy"],
      true
    ],
    [
      "starts once more with initialize where both were refused",
      stdio,
      [opened, silence, discoverRefused, initializeRefused(duplicate), opened, accepted, initialized],
      ["SendDiscover", "SendInitialize", "-", "Restart", "SendInitialize", "-", "UseLegacy"],
      true
    ],
    [
      "starts once more in the other order of refusals",
      stdio,
      [opened, silence, initializeRefused(duplicate), discoverRefused, opened],
      ["SendDiscover", "SendInitialize", "-", "Restart", "SendInitialize"],
      true
    ],
    [
      "fails where the second start refuses initialize too",
      stdio,
      [opened, discoverRefused, initializeRefused(duplicate), opened, initializeRefused(duplicate)],
      ["SendDiscover", "SendInitialize", "Restart", "SendInitialize", "Fail duplicate initialize"],
      true
    ],
    [
      "starts once more when the server exits on the probe",
      stdio,
      [opened, ended(exited), opened, ended(exited)],
      ["SendDiscover", "Restart", "SendInitialize", "Fail the server exited with code 1"],
      true
    ],
    [
      "fails when the channel closes",
      stdio,
      [opened, ended(closed)],
      ["SendDiscover", "Fail the connection was closed"],
      false
    ],
    [
      "fails with the refusal when the channel closes after it",
      stdio,
      [opened, silence, initializeRefused(duplicate), ended(closed)],
      ["SendDiscover", "SendInitialize", "-", "Fail duplicate initialize"],
      false
    ],
    [
      "does not start anew over HTTP",
      http,
      [opened, discoverRefused, initializeRefused(refused)],
      ["SendDiscover", "SendInitialize", "Fail the server responded with HTTP 400"],
      true
    ],
    [
      "fails when the network fails before initialize",
      http,
      [opened, discoverFailed],
      ["SendDiscover", "Fail cannot reach http://127.0.0.1:1 (ECONNREFUSED)"],
      false
    ],
    [
      "leaves it to initialize when the network fails after silence",
      http,
      [opened, silence, discoverFailed, accepted, initialized],
      ["SendDiscover", "SendInitialize", "-", "-", "UseLegacy"],
      false
    ],
    [
      "asks for a sign-in when the probe lacks credentials, after initialize was refused",
      http,
      [opened, silence, initializeRefused(refused), discoverUnauthorized],
      ["SendDiscover", "SendInitialize", "-", `Fail ${unauthorized.message}`],
      false
    ],
    [
      "leaves it to initialize when the probe lacks credentials while initialize is open",
      http,
      [opened, silence, discoverUnauthorized, accepted, initialized],
      ["SendDiscover", "SendInitialize", "-", "-", "UseLegacy"],
      false
    ],
    [
      "fails at once when initialize lacks credentials, although the probe is open",
      http,
      [opened, silence, initializeRefused(unauthorized)],
      ["SendDiscover", "SendInitialize", "Fail the server requires authorization (HTTP 401)"],
      false
    ],
    [
      "begins with initialize for a server that is known to be legacy",
      remembered,
      [opened, accepted, initialized],
      ["SendInitialize", "-", "UseLegacy"],
      true
    ],
    [
      "probes a server that no longer accepts initialize",
      remembered,
      [opened, initializeRefused(refused), discovered],
      ["SendInitialize", "SendDiscover", "UseModern"],
      false
    ],
    [
      "fails where a server that was known refuses both",
      remembered,
      [opened, initializeRefused(duplicate), discoverRefused],
      ["SendInitialize", "SendDiscover", "Fail duplicate initialize"],
      true
    ],
    [
      "probes a second start of a server that was known and exits on initialize",
      remembered,
      [opened, ended(exited), opened, discovered],
      ["SendInitialize", "Restart", "SendDiscover", "UseModern"],
      false
    ],
    [
      "knows no silence for a pinned revision",
      pinned,
      [opened, silence, discovered],
      ["SendDiscover", "-", "UseModern"],
      false
    ],
    [
      "fails where a pinned revision is refused",
      pinned,
      [opened, discoverRefused],
      ["SendDiscover", "Fail no such method"],
      true
    ],
    [
      "fails where initialize alone is allowed and refused",
      legacy,
      [opened, initializeRefused(duplicate)],
      ["SendInitialize", "Fail duplicate initialize"],
      false
    ]
  ]
  for (const [title, start, events, actions, isKnownLegacy] of stories) {
    it(title, () => {
      const ran = run(start, events)
      assert.deepStrictEqual(ran.actions, [...actions])
      assert.strictEqual(ran.state.isKnownLegacy, isKnownLegacy)
    })
  }

  it("takes judgements of the server for refusals, and no failures of the network", () => {
    assert.deepStrictEqual(
      [noDiscover, refused, unavailable, unauthorized, unreachable, exited, closed].map(isRefusal),
      [true, true, false, false, false, false, false]
    )
  })

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
    unauthorized: initializeRefused(unauthorized),
    exited: ended(exited),
    closed: ended(closed)
  }
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
