/**
 * The address policy that limits connections to public addresses, with a real resolver and scripted answers.
 */
import { assert, describe, it } from "@effect/vitest"
import { RetryPolicy, type SessionError } from "@mcp-sessions/core"
import { Effect } from "effect"
import dns from "node:dns"
import { syncBuiltinESMExports } from "node:module"
import { createServer } from "node:net"
import { afterEach, vi } from "vitest"
import { dialOptions, guard } from "../../../packages/transports/src/internal/network/addressPolicy.ts"
import { withServer, withSession } from "../../fixtures/withSession.ts"

// `syncBuiltinESMExports` updates the bindings that modules have imported.
const look = (lookup: (host: string, callback: (error: Error | null, found?: unknown) => void) => void): void => {
  vi.spyOn(dns, "lookup").mockImplementation(
    ((host: string, _: object, callback: () => void) => lookup(host, callback)) as never
  )
  syncBuiltinESMExports()
}

afterEach(() => {
  vi.restoreAllMocks()
  syncBuiltinESMExports()
})

/** Resolves names to the given addresses, one per lookup; the last one repeats. Returns the names that were looked up. */
const resolveTo = (...answers: ReadonlyArray<ReadonlyArray<string>>): ReadonlyArray<string> => {
  const asked: Array<string> = []
  const left = [...answers]
  look((host, callback) => {
    asked.push(host)
    const addresses = left.length > 1 ? left.shift() : left[0]
    callback(null, addresses?.map((address) => ({ address, family: address.includes(":") ? 6 : 4 })))
  })
  return asked
}

const blocked = (url: string, transport = "streamable_http") =>
  Effect.map(
    Effect.flip(withSession({ transport, url, addresses: "public" }, (session) => session.ping)),
    (error): SessionError.Reason | undefined => error._tag === "SessionError" ? error.reason : undefined
  )

describe("addresses: public", () => {
  for (
    const host of [
      "2130706433",
      "0x7f.1",
      "017700000001",
      "127.1",
      "0.0.0.0",
      "10.1.2.3",
      "172.31.255.255",
      "192.168.0.1",
      "169.254.169.254",
      "100.64.0.1",
      "192.0.0.192",
      "198.18.0.1",
      "224.0.0.1",
      "255.255.255.255",
      "[::]",
      "[::1]",
      "[::7f00:1]",
      "[::ffff:0:7f00:1]",
      "[4000::1]",
      "[::ffff:a9fe:a9fe]",
      "[64:ff9b::7f00:1]",
      "[2002:7f00:1::]",
      "[2001:0:4136:e378:8000:63bf:3fff:fdd2]",
      "[fd00::1]",
      "[fe80::1]",
      "[ff02::1]",
      "localhost",
      "localhost.",
      "LOCALHOST",
      "x.localhost",
      "metadata.google.internal",
      "printer.local"
    ]
  ) {
    it.effect(`refuses ${host} before resolving or dialling`, () =>
      Effect.gen(function*() {
        const asked = resolveTo(["93.184.216.34"])
        for (const [scheme, transport] of [["http", "streamable_http"], ["http", "sse"], ["ws", "websocket"]]) {
          const reason = yield* blocked(`${scheme}://${host}:9/mcp`, transport)
          assert.strictEqual(reason?._tag, "BlockedAddress")
          assert.strictEqual(reason?.delivery, "NotSent")
        }
        assert.deepStrictEqual(asked, [])
      }))
  }

  for (const [scheme, transport] of [["http", "streamable_http"], ["http", "sse"], ["ws", "websocket"]]) {
    it.live(`refuses a name if any of its addresses is not public, over ${transport}`, () =>
      Effect.gen(function*() {
        let dialled = 0
        const server = createServer(() => {
          dialled++
        }).listen(0, "127.0.0.1")
        yield* Effect.promise(() => new Promise((resolve) => server.once("listening", resolve)))
        const address = server.address()
        const port = typeof address === "object" ? address?.port : 0
        for (const addresses of [["127.0.0.1"], ["93.184.216.34", "::1"]]) {
          resolveTo(addresses)
          const reason = yield* blocked(`${scheme}://example.com:${port}/mcp`, transport)
          assert.deepInclude(reason, { _tag: "BlockedAddress", host: "example.com", address: addresses.at(-1) })
        }
        assert.strictEqual(dialled, 0)
        server.close()
      }))
  }

  it.effect("allows public addresses of both families", () =>
    Effect.gen(function*() {
      for (const host of ["93.184.216.34", "[2606:2800:220:1::1]", "172.32.0.1", "11.0.0.1", "100.128.0.1"]) {
        yield* guard({ addresses: "public", url: `http://${host}/mcp` })
        const address = host.replaceAll(/[[\]]/g, "")
        resolveTo([address])
        const found = yield* Effect.callback<unknown>((resume) => {
          const { lookup } = dialOptions({ addresses: "public" })
          lookup?.("example.com", {}, (error, address) => resume(Effect.succeed(error ?? address)))
        })
        assert.strictEqual(found, address)
      }
    }))

  it.live("checks the addresses of a name at each dial", () =>
    withServer(() => false, (_, server) =>
      Effect.gen(function*() {
        const { port } = new URL(server.url)
        const asked = resolveTo(["2606:2800:220:1::"], ["127.0.0.1"])
        const url = `http://example.com:${port}/mcp`
        const error = yield* Effect.flip(
          withSession(
            { transport: "streamable_http", url, addresses: "public", connectTimeout: "1 second" },
            (session) => session.ping,
            RetryPolicy.spaced({ retries: 1, delay: 0 })
          )
        )
        assert.isAbove(asked.length, 0)
        assert.strictEqual(error._tag === "SessionError" ? error.reason.delivery : "", "NotSent")
        const reason = yield* blocked(url)
        assert.strictEqual(reason?._tag, "BlockedAddress")
      })))

  it.effect("connects to public addresses", () =>
    Effect.gen(function*() {
      for (const host of ["example.com", "local.example.com", "internal-api.example.com"]) {
        look((_, callback) => callback(Object.assign(new Error("not found"), { code: "ENOTFOUND" })))
        assert.strictEqual((yield* blocked(`https://${host}/mcp`))?._tag, "ConnectionRefused")
      }
    }))
})

describe("addresses: any", () => {
  it.live("is the default, which allows servers in development", () => withServer(() => false, () => Effect.void))
})
