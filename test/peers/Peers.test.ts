/**
 * Each client calls a tool over each transport that it claims to have.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { fixture as shared, makeLedger, startServer } from "../fixtures/peer.ts"
import { read, versionOf } from "./page.ts"
import type { ServerOf, TransportOf } from "./Peer.ts"
import { peers } from "./peers.ts"
import { fixture } from "./Servers.ts"

/** A server of each kind. */
const servers = Effect.gen(function*() {
  const { file } = yield* makeLedger
  const http = yield* startServer([fixture("http.mjs"), file, "0"])
  const websocket = yield* startServer([shared("netServer.ts"), "websocket", "v1", file])
  const all: { readonly [K in TransportOf]: ServerOf } = {
    stdio: { kind: "stdio", command: process.execPath, args: [fixture("stdio.mjs"), file] },
    http: { kind: "http", url: `http://127.0.0.1:${http.port}/mcp` },
    websocket: { kind: "websocket", url: `ws://127.0.0.1:${websocket.port}/` }
  }
  return all
})

const { versions } = read()
const [ours] = Object.keys(peers)

describe("clients", () => {
  for (const [name, load] of Object.entries(peers)) {
    it.live(`${name} calls a tool over each of its transports, in the version that the README names`, () =>
      Effect.gen(function*() {
        const peer = yield* Effect.promise(load)
        assert.strictEqual(peer.name, name)
        if (name !== ours) assert.include(versions, versionOf(peer))
        const all = yield* servers
        for (const transport of peer.transports) {
          const answer = yield* Effect.promise(async () => {
            const session = await peer.connect(all[transport])
            const answer = await session.call("echo", { message: "hello there" })
            await session.close()
            return answer
          })
          assert.include(JSON.stringify(answer), "hello there", transport)
        }
      }).pipe(Effect.scoped))
  }
})
