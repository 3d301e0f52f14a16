/**
 * What the page shows of servers and of clients, to an operator and to another principal. Every text is that of a server or of a client.
 */
import { assert, describe, it } from "@effect/vitest"
import { HealthWatch, SessionError } from "@mcp-sessions/core"
import type { Client, Status } from "../../../packages/transports/src/internal/dashboard/backend.ts"
import { clientViews, serverView, viewerOf } from "../../../packages/transports/src/internal/dashboard/serverView.ts"

const errorOf = (stderrTail: string) =>
  new SessionError.SessionError({
    server: "s",
    reason: new SessionError.ServerExited({ exitCode: 1, signal: null, stderrTail, delivery: "NotSent" })
  })

const connectionOf = (owner: string, signIn: Status["connections"][number]["signIn"] = { _tag: "SignedIn" }) => ({
  owner,
  state: { _tag: "Down", error: errorOf(`stderr of ${owner}`), retryAt: 0 } as never,
  inFlight: 1,
  signIn
})

const statusOf = (connections: Status["connections"]): Status => ({
  circuit: { state: "closed" },
  inFlight: 7,
  connections
})

const clients: ReadonlyArray<Client> = ["alice", "bob"].map((principal) => ({
  owner: `${principal} 1`,
  principal,
  label: `client of ${principal}`,
  inFlight: 1
}))

const [alice, operator] = [false, true].map((isOperator) =>
  viewerOf({ principal: isOperator ? "root" : "alice", isOperator, clients })
) as [ReturnType<typeof viewerOf>, ReturnType<typeof viewerOf>]

const row = { ...HealthWatch.unknown("s"), lastError: errorOf("stderr of all") }

const signInWith = (url: string) =>
  serverView({ row, status: statusOf([connectionOf("alice 1", { _tag: "SigningIn", url })]) }, operator).signIn

describe("a server on the page", () => {
  const known = { row, status: statusOf([connectionOf("alice 1", { _tag: "SignedOut" }), connectionOf("bob 1")]) }

  it("has the requests in flight, the error and no sign-in of a principal, and all of them for an operator", () => {
    const own = serverView(known, alice)
    assert.deepStrictEqual([own.inFlight, own.lastError?.stderr, own.signIn], [1, "stderr of alice 1", undefined])
    const all = serverView(known, operator)
    assert.deepStrictEqual([all.inFlight, all.lastError?.stderr, all.signIn], [
      7,
      "stderr of all",
      { isPending: false, url: undefined }
    ])
  })

  it("has the last 4,000 characters of stderr, and the first line of an error alone", () => {
    const { lastError } = serverView(
      { row: { ...row, lastError: errorOf(`first ${"x".repeat(10_000)} last`) }, status: undefined },
      operator
    )
    assert.lengthOf(lastError?.stderr ?? "", 4000)
    assert.isTrue(lastError?.stderr?.endsWith(" last"))
    assert.strictEqual(lastError?.message, "the server exited with code 1")
  })

  it("has a link to sign in only to a page of http or https, of 4,000 characters at most", () => {
    assert.strictEqual(signInWith("https://auth.example.com/a")?.url, "https://auth.example.com/a")
    assert.strictEqual(signInWith("http://127.0.0.1/a")?.url, "http://127.0.0.1/a")
    const refused = [
      "javascript:alert(1)",
      "data:text/html,x",
      "file:///etc/passwd",
      "vscode://x",
      "x",
      `https://a/${"x".repeat(4000)}`
    ]
    for (const url of refused) assert.deepStrictEqual(signInWith(url), { isPending: true, url: undefined })
  })
})

describe("the clients on the page", () => {
  it("are those of the principal, and for an operator all with the sessions of the gateway itself", () => {
    const own: Client = { owner: "lists", principal: undefined, label: "lists of the gateway", inFlight: 0 }
    const known = [{ row, status: statusOf(["alice 1", "bob 1", "lists"].map((owner) => connectionOf(owner))) }]
    const labelsOf = (viewer: typeof alice) =>
      clientViews({ clients: [...clients, own], known, viewer }).items.map(({ label }) => label)
    assert.deepStrictEqual(labelsOf(alice), ["client of alice"])
    assert.deepStrictEqual(labelsOf(operator), ["client of alice", "client of bob", "lists of the gateway"])
  })

  it("are 100 with 50 sessions each, the busy ones first, and the number of the others", () => {
    const many = Array.from({ length: 120 }, (_, n): Client => ({
      owner: "alice 1",
      principal: "alice",
      label: String(n),
      inFlight: n
    }))
    const known = Array.from({ length: 60 }, () => ({ row, status: statusOf([connectionOf("alice 1")]) }))
    const { hidden, items } = clientViews({ clients: many, known, viewer: operator })
    assert.deepStrictEqual([items.length, hidden, items[0]?.label, items[0]?.sessions.length], [100, 20, "119", 50])
  })
})
