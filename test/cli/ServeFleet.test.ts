/**
 * `serve` as several processes that are one gateway.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { randomBytes } from "node:crypto"
import { authority } from "../fixtures/certificates.ts"
import { call, initialize, post, textOf } from "../fixtures/gateway.ts"
import { database, freePort, untilReady } from "../fixtures/gatewayFleet.ts"
import { isAlive, until } from "../fixtures/peer.ts"
import * as Postgres from "../fixtures/postgres.ts"
import { inWorkplace } from "./cli.ts"
import { servers, serving } from "./serving.ts"

/** Starts processes with one file of keys. */
const sharing = (words: ReadonlyArray<ReadonlyArray<string>>, options: Parameters<typeof serving>[1] = {}) =>
  serving(words.map((own) => ["--session-key", "key", ...own]), {
    ...options,
    files: { ...options.files, key: `${randomBytes(32).toString("base64")}\n${randomBytes(32).toString("hex")}\n` }
  })

/** Initializes at the first process, and calls a tool at each. */
const callAtEach = (processes: ReadonlyArray<{ readonly url: string }>) =>
  Effect.gen(function*() {
    const { session } = yield* post(processes[0]?.url ?? "", initialize)
    return yield* Effect.forEach(processes, ({ url }, index) =>
      Effect.map(
        post(url, call(index, "count", { id: `at ${index}` }), { session }),
        ({ text }) => textOf((JSON.parse(text) as { readonly result: unknown }).result)
      ))
  })

describe.concurrent("serve in several processes", () => {
  it.live("takes each request of a client in either of two processes with --sealed", () =>
    Effect.gen(function*() {
      const { ledger, processes } = yield* sharing([["--sealed"], ["--sealed"]])
      assert.deepStrictEqual(yield* callAtEach(processes), ["counted", "counted"])
      assert.deepStrictEqual(ledger("count"), ["at 0", "at 1"])
    }))

  it.live("refuses combinations of flags that say nothing or two things", () =>
    inWorkplace((place, file) =>
      Effect.gen(function*() {
        place.write("mcp-sessions.json", servers(file))
        place.write("key", randomBytes(32).toString("base64url"))
        const refused = (words: ReadonlyArray<string>) =>
          Effect.map(place.run(["serve", ...words]), ({ status, stderr }) => {
            assert.strictEqual(status, 2)
            return stderr
          })
        assert.match(
          yield* refused(["--sealed"]),
          /--sealed needs --session-key\n\s+try: openssl rand -base64 32 > session\.key/
        )
        assert.include(
          yield* refused(["--sealed", "--cluster", "--session-key", "key"]),
          "use either --sealed or --cluster"
        )
        assert.match(
          yield* refused(["--node-port", "7000", "--node-tls", "a,b,c"]),
          /--node-port needs --cluster[^]*--node-tls needs --cluster/
        )
        assert.include(yield* refused(["--stdio", "--session-key", "key"]), "--stdio serves one client")
        const cluster = ["--cluster", "--session-key", "key"]
        assert.include(yield* refused([...cluster, "--node-host", "::"]), "--advertise is required")
        assert.include(yield* refused([...cluster, "--node-port", "7401"]), "must differ")
        assert.match(
          yield* refused(cluster),
          /--cluster needs the URL of PostgreSQL; MCP_SESSIONS_DATABASE_URL is not set[^]*try: set MCP_SESSIONS_DATABASE_URL, or .* --database/
        )
      })
    ))

  it.live("refuses a node that others may reach without certificates, and certificates that are not, before the database is used", () =>
    inWorkplace((place, file) =>
      Effect.gen(function*() {
        place.write("mcp-sessions.json", servers(file))
        place.write("key", randomBytes(32).toString("base64"))
        place.write("database", "postgres://user@127.0.0.1:1/none")
        place.write("none.pem", "no certificate")
        const refused = (words: ReadonlyArray<string>) =>
          Effect.map(
            place.run(["serve", "--cluster", "--session-key", "key", "--database", "database", ...words]),
            ({ status, stderr }) => {
              assert.strictEqual(status, 2)
              return stderr
            }
          )
        const anywhere = ["--node-host", "0.0.0.0", "--advertise", "10.0.0.5"]
        assert.match(yield* refused(anywhere), /--node-tls: .*certificates[^]*--insecure-network/)
        assert.include(yield* refused([...anywhere, "--insecure-network"]), "ECONNREFUSED")
        const broken = yield* refused(["--node-tls", "none.pem,none.pem,none.pem"])
        assert.match(broken, /--node-tls \(ca\)[^]*--node-tls \(cert\)[^]*--node-tls \(key\)/)
        assert.notInclude(broken, "no certificate")
      })
    ))

  it.live("refuses a file of keys with a line that is no key, and does not quote it", () =>
    inWorkplace((place, file) =>
      Effect.gen(function*() {
        place.write("mcp-sessions.json", servers(file))
        const short = randomBytes(31).toString("base64")
        place.write("key", `${randomBytes(32).toString("hex")}\n${short}\n`)
        const { status, stderr } = yield* place.run(["serve", "--sealed", "--session-key", "key"])
        assert.strictEqual(status, 2)
        assert.include(stderr, "--session-key: expected lines with 32 bytes each, in base64 or hex")
        assert.notInclude(stderr, short)
      })
    ))

  it.live("warns of a cluster that others can reach, and says that its database cannot be used, without the password", () =>
    inWorkplace((place, file) =>
      Effect.gen(function*() {
        place.write("mcp-sessions.json", servers(file))
        place.write("key", randomBytes(32).toString("base64"))
        place.write("database", "postgres://user:hunter2hunter2@127.0.0.1:1/none\n")
        const words = ["--cluster", "--session-key", "key", "--database", "database", "--node-host", "10.0.0.5"]
        const { status, stderr } = yield* place.run(["serve", ...words])
        assert.strictEqual(status, 2)
        assert.include(stderr, "warning: without --node-tls, programs on the network of 10.0.0.5 can read")
        assert.include(
          stderr,
          "the database \"none\" at 127.0.0.1:1 cannot be used: nothing listens on this port (ECONNREFUSED)"
        )
        assert.include(stderr, "try: start PostgreSQL, or correct the URL in the file of --database")
        assert.notInclude(stderr, "hunter2hunter2")
      })
    ))

  it.live.skipIf(!Postgres.isRunning)(
    `has a session on one of three nodes of a cluster, which all take its requests, over TLS${Postgres.reason}`,
    () =>
      Effect.gen(function*() {
        const trusted = authority()
        const { cert, key } = trusted.issue("127.0.0.1")
        const nodes = yield* Effect.forEach([0, 1, 2], () =>
          Effect.map(Effect.all([freePort, freePort]), ([port, runner]) => [
            "--cluster",
            "--node-tls",
            "ca.pem,cert.pem,key.pem",
            "--node-port",
            String(port),
            "--runner-port",
            String(runner)
          ]))
        const { ledger, processes } = yield* sharing(nodes, {
          env: { MCP_SESSIONS_DATABASE_URL: `postgres://postgres@127.0.0.1:${Postgres.port}/${yield* database}` },
          files: { "ca.pem": trusted.ca, "cert.pem": cert, "key.pem": key }
        })
        yield* Effect.forEach(processes, untilReady, { concurrency: "unbounded" })
        // Each node serves the lists of a session of its own.
        const before = ledger("process").length
        assert.deepStrictEqual(yield* callAtEach(processes), ["counted", "counted", "counted"])
        assert.deepStrictEqual(ledger("count"), ["at 0", "at 1", "at 2"])
        assert.lengthOf(ledger("process"), before + 1)
        for (const { child } of processes) {
          child.kill("SIGTERM")
        }
        for (const { exited } of processes) {
          assert.deepStrictEqual(yield* exited, [143, null])
        }
        yield* until(() =>
          ledger("process").filter(isAlive), (alive) =>
          alive.length === 0)
      })
  )
})
