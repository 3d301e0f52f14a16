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

const problemOf = (
  options: SessionRouter.ClusterOptions,
  sessionKey?: Redacted.Redacted<Uint8Array>,
  gateway: Gateway.GatewayOptions = {}
) =>
  Gateway.layer({ ...gateway, sessions: Sessions.layer({ servers: {} }), sessionKey }).pipe(
    Layer.provide([Transports.layer, SessionRouter.layerCluster(options)]),
    Layer.provide([TestRunner.layer, Postgres.layer({ maxConnections: 1 })]),
    Layer.build,
    Effect.flip,
    Effect.map(({ message }) => message),
    Effect.scoped
  )

/** The paths of the problems of the options of a node. */
const pathsOf = (options: SessionRouter.ClusterOptions) =>
  SessionRouter.checkCluster(options).pipe(
    Effect.match({ onSuccess: () => [], onFailure: ({ problems }) => problems.map(({ path }) => path.join(".")) })
  )

describe("the options of a node", () => {
  const own = authority()
  const { cert, key } = own.issue("10.0.0.5")
  const tls = { ca: own.ca, cert, key: Redacted.make(key) }

  it.effect("are refused with an address that others may reach, unless there are certificates or it is wanted", () =>
    Effect.gen(function*() {
      for (const host of ["0.0.0.0", "::", "203.0.113.5", "node.example.com", "127.0.0.999"]) {
        assert.deepStrictEqual(yield* pathsOf({ host }), ["cluster.tls"])
        assert.deepStrictEqual(yield* pathsOf({ host, tls }), [])
        assert.deepStrictEqual(yield* pathsOf({ host, insecureNetwork: true }), [])
      }
      for (const host of ["127.0.0.1", "localhost", "::1", "10.0.0.5", "192.168.1.5", "fd00::5"]) {
        assert.deepStrictEqual(yield* pathsOf({ host }), [])
      }
    }))

  it.effect("are refused with certificates and a key that are not PEM, or not of each other, and are not quoted", () =>
    Effect.gen(function*() {
      const broken = { ca: "no authority", cert: "no certificate", key: Redacted.make("no private key") }
      assert.deepStrictEqual(yield* pathsOf({ tls: broken }), ["cluster.tls.ca", "cluster.tls.cert", "cluster.tls.key"])
      const other = Redacted.make(own.issue("10.0.0.6").key)
      assert.deepStrictEqual(yield* pathsOf({ tls: { ...tls, key: other } }), ["cluster.tls.key"])
      const { message } = yield* Effect.flip(SessionRouter.checkCluster({ tls: broken }))
      assert.notMatch(message, /no authority|no certificate|no private key/)
    }))
})

describe.skipIf(!Postgres.isRunning)(`a node${Postgres.reason}`, () => {
  const key = Redacted.make(Buffer.alloc(32, "k"))

  it.live("does not start without a key", () =>
    Effect.gen(function*() {
      assert.include(yield* problemOf({}), "sessionKey")
    }))

  it.live("does not start with invalid options of its own or of its gateway, and names all of them", () =>
    Effect.gen(function*() {
      const problem = yield* problemOf({ host: "0.0.0.0", port: 70_000, advertisedUrl: "ftp://node" }, undefined, {
        port: -1
      })
      for (const option of ["sessionKey", "tls", "0 to 65535", "advertisedUrl"]) assert.include(problem, option)
      assert.lengthOf(problem.match(/0 to 65535/g) ?? [], 2)
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
