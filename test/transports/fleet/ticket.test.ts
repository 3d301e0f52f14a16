/**
 * Tickets: session ids that any process with the key can open, for their principal and path alone.
 */
import { assert, describe, it } from "@effect/vitest"
import { Redacted } from "effect"
import { Tickets } from "../../../packages/transports/src/internal/fleet/ticket.ts"
import { SealedIds } from "../../../packages/transports/src/internal/gateway/protocol/sealedIds.ts"

const week = 7 * 24 * 60 * 60 * 1000

const tickets = ({ key = "k", now = 0, route = "/mcp" }) =>
  new Tickets({
    ids: new SealedIds({ keys: [Redacted.make(Buffer.alloc(32, key))], purpose: "session" }),
    route,
    now: () => now
  })

const session = {
  name: "session 1",
  principal: "alice",
  protocolVersion: "2025-11-25",
  capabilities: { elicitation: { form: {} }, sampling: { tools: {} } }
}

describe("a ticket", () => {
  it("gives another process the session as it was made", () => {
    const ticket = tickets({}).seal(session)
    assert.deepStrictEqual(tickets({}).open(ticket, "alice"), { ...session, ticket })
  })

  it("does not open for another principal, path or key, or after seven days", () => {
    const ticket = tickets({}).seal(session)
    assert.isUndefined(tickets({}).open(ticket, "bob"))
    assert.isUndefined(tickets({ route: "/other" }).open(ticket, "alice"))
    assert.isUndefined(tickets({ key: "other" }).open(ticket, "alice"))
    assert.isDefined(tickets({ now: week - 1 }).open(ticket, "alice"))
    assert.isUndefined(tickets({ now: week + 1000 }).open(ticket, "alice"))
  })
})
