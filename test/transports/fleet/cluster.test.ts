/**
 * The options of a node of a cluster.
 */
import { assert, describe, it } from "@effect/vitest"
import { Sessions } from "@mcp-sessions/core"
import { Gateway, SessionRouter, Transports } from "@mcp-sessions/transports"
import { Effect, Layer, Redacted } from "effect"
import { TestRunner } from "effect/cluster"
import { authority } from "../../fixtures/certificates.ts"
import * as Postgres from "../../fixtures/postgres.ts"

const problemOf = (options: SessionRouter.ClusterOptions, sessionKey?: Redacted.Redacted<Uint8Array>) =>
  Gateway.layer({ sessions: Sessions.layer({ servers: {} }), sessionKey }).pipe(
    Layer.provide([Transports.layer, SessionRouter.layerCluster(options)]),
    Layer.provide([TestRunner.layer, Postgres.layer({ maxConnections: 1 })]),
    Layer.build,
    Effect.flip,
    Effect.map(({ message }) => message),
    Effect.scoped
  )

describe.skipIf(!Postgres.isRunning)(`a node${Postgres.reason}`, () => {
  const key = Redacted.make(Buffer.alloc(32, "k"))

  it.live("does not start without a key", () =>
    Effect.gen(function*() {
      assert.include(yield* problemOf({}), "sessionKey")
    }))

  it.live("does not start with a URL that other nodes cannot send requests to", () =>
    Effect.gen(function*() {
      const own = authority()
      const { cert, key: privateKey } = own.issue("127.0.0.1")
      const tls = { ca: own.ca, cert, key: Redacted.make(privateKey) }
      const problems = [
        yield* problemOf({ advertisedUrl: "10.0.0.5:7000" }, key),
        yield* problemOf({ advertisedUrl: "https://10.0.0.5:7000" }, key),
        yield* problemOf({ advertisedUrl: "http://10.0.0.5:7000", tls }, key)
      ]
      for (const problem of problems) assert.include(problem, "advertisedUrl")
    }))
})
