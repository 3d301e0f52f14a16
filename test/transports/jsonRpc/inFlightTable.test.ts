/**
 * The table of requests in flight: any order of sends, responses and cancellations.
 */
import { assert, describe, it } from "@effect/vitest"
import { type Connection, SessionError } from "@mcp-sessions/core"
import { Cause, Effect, Exit, Schema } from "effect"
import { InFlightTable } from "../../../packages/transports/src/internal/jsonRpc/inFlightTable.ts"
import { outgoing } from "../../fixtures/outgoing.ts"

interface Sent extends Connection.OutgoingRequest {
  readonly outcomes: Array<Exit.Exit<unknown, SessionError.Reason>>
}

const request = (): Sent => {
  const outcomes: Array<Exit.Exit<unknown, SessionError.Reason>> = []
  return { ...outgoing({ settle: (outcome) => outcomes.push(outcome) }), outcomes }
}

const failureOf = ({ outcomes: [outcome] }: Sent): SessionError.Reason | undefined => {
  if (outcome === undefined || Exit.isSuccess(outcome)) return undefined
  const failure = Cause.findError(outcome.cause)
  return failure._tag === "Success" ? failure.success : undefined
}

const closed = (delivery: "NotSent" | "Unknown") => new SessionError.TransportClosed({ delivery })

const Step = Schema.Union([
  Schema.TaggedStruct("Add", {}),
  Schema.TaggedStruct("Remove", { index: Schema.Int }),
  Schema.TaggedStruct("RemoveAgain", { index: Schema.Int })
])

describe("the in-flight table", () => {
  it.effect.prop(
    "holds exactly the requests that were added and not removed, each under its own ascending id",
    [Schema.Array(Step), Schema.Boolean],
    ([steps, isNearTheEnd]) =>
      Effect.sync(() => {
        const table = new InFlightTable(isNearTheEnd ? 2 ** 31 - 20 : 7)
        const inFlight: Array<Sent> = []
        const removed: Array<Sent> = []
        for (const step of [...steps, ...steps, ...steps]) {
          if (step._tag === "Add") {
            const added = request()
            const id = table.add(added)
            assert.strictEqual(id, added.id)
            inFlight.push(added)
          } else if (step._tag === "Remove" && inFlight.length > 0) {
            const [gone] = inFlight.splice(Math.abs(step.index) % inFlight.length, 1)
            assert.isDefined(gone)
            assert.isTrue(table.remove(gone))
            removed.push(gone)
          } else if (removed.length > 0) {
            const gone = removed[Math.abs("index" in step ? step.index : 0) % removed.length]
            assert.isFalse(gone !== undefined && table.remove(gone))
          }
          assert.strictEqual(table.size, inFlight.length)
          for (const sent of inFlight) assert.strictEqual(table.get(sent.id as number), sent)
          for (const sent of removed) assert.isUndefined(table.get(sent.id as number))
        }
        assert.deepStrictEqual(new Set(inFlight.map(({ id }) => id)).size, inFlight.length)
        assert.deepStrictEqual(new Set(table.all()), new Set(inFlight))
      }),
    { arbitrary: { seed: 1 } }
  )

  it("finds nothing under ids that it never gave", () => {
    const table = new InFlightTable(8)
    table.add(request())
    for (const id of [0, 1, 16, 8.5, -8, Number.NaN, 2 ** 53]) assert.isUndefined(table.get(id))
    assert.isFalse(table.owns(7))
    assert.isFalse(table.owns("8"))
    assert.isTrue(table.owns(8))
  })

  it("keeps its size while one request hangs and many others pass", () => {
    const table = new InFlightTable()
    const hanging = request()
    table.add(hanging)
    for (let i = 0; i < 100_000; i++) {
      const passing = request()
      table.add(passing)
      table.remove(passing)
    }
    assert.isTrue(table.remove(hanging))
    assert.strictEqual(table.size, 0)
    assert.isBelow(table.capacity, 64)
  })

  it.effect.prop(
    "ends a request that was written as Unknown and any other as NotSent, each once and in the order of their ids",
    [Schema.Array(Schema.Boolean)],
    ([written]) =>
      Effect.sync(() => {
        const table = new InFlightTable()
        const order: Array<Sent> = []
        const sent = written.map((isWritten) => {
          const added: Sent = request()
          const { settle } = added
          Object.assign(added, {
            settle: (outcome: Exit.Exit<unknown, SessionError.RequestReason>) => {
              order.push(added)
              settle(outcome)
            }
          })
          table.add(added)
          added.isWritten = isWritten
          return added
        })
        table.failAll(closed)
        table.failAll(closed)
        assert.deepStrictEqual(order, sent)
        for (const [index, request] of sent.entries()) {
          assert.strictEqual(request.outcomes.length, 1)
          assert.strictEqual(failureOf(request)?.delivery, written[index] === true ? "Unknown" : "NotSent")
        }
      }),
    { arbitrary: { seed: 1 } }
  )

  it("fails a request that is added after the end, without an id", () => {
    const table = new InFlightTable()
    table.failAll(closed)
    const late = request()
    assert.isUndefined(table.add(late))
    assert.isUndefined(late.id)
    assert.deepInclude(failureOf(late), { _tag: "TransportClosed", delivery: "NotSent" })
  })
})
