/**
 * Errors of `serve` that its words cause: each names a flag, and the command exits with 2.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { once } from "node:events"
import { createServer } from "node:net"
import { until } from "../fixtures/peer.ts"
import { inWorkplace, workplace } from "./cli.ts"
import { servers } from "./serving.ts"

const secret = "hunter2"

/** Runs `serve` in a place with two servers, and returns stderr of a usage error. */
const refusing = (files: Readonly<Record<string, unknown>>, words: ReadonlyArray<string>) =>
  inWorkplace((place, file) =>
    Effect.gen(function*() {
      place.write("mcp-sessions.json", servers(file))
      for (const [name, content] of Object.entries(files)) place.write(name, content)
      const { status, stderr, stdout } = yield* place.run(["serve", ...words])
      assert.strictEqual(status, 2, stderr)
      assert.strictEqual(stdout, "")
      assert.notInclude(stderr, secret)
      return stderr
    })
  )

const long = (name: string) => `${secret}-the-token-of-${name}`

describe.concurrent("serve", () => {
  it.live("names the flag of each option that the gateway refuses", () =>
    Effect.gen(function*() {
      const tokens = { "tokens.json": { alice: long("alice") } }
      for (
        const [words, expected] of [
          ["--path /healthz", "--path: expected a path such as \"/mcp\""],
          ["--issuer http://auth.example.com", "--issuer: expected the issuer, an https URL without a query"],
          ["--issuer https://auth.example.com --jwks ftp://x", "--jwks: expected an https URL"],
          ["--public-url ftp://x", "--public-url: expected the https URL at which clients reach the endpoint"],
          ["--allow-origin app", "--allow-origin: expected origins such as"],
          ["--ui --tokens tokens.json --operator bob", "--operator: \"bob\" is not a principal of --tokens"],
          ["--include no-such/x", "--include: expected a pattern of one of the servers"],
          ["--exclude no-such/x", "--exclude: expected a pattern of one of the servers"],
          ["--resources no-such", "--resources"]
        ] as const
      ) {
        assert.include(yield* refusing(tokens, words.split(" ")), expected)
      }
    }))

  it.live("names the flag of a pattern that the gateway refuses with --stdio", () =>
    Effect.map(
      refusing({}, ["--stdio", "--exclude", "no-such/x"]),
      (stderr) => assert.include(stderr, "--exclude: expected a pattern of one of the servers")
    ))

  it.live("asks for a whole number in the range of a port, once", () =>
    Effect.gen(function*() {
      for (const port of ["abc", "99999", "1.5", "-1", "0x10"]) {
        assert.include(
          yield* refusing({}, [`--port=${port}`]),
          `--port: expected a whole number from 0 to 65535, not "${port}"`
        )
      }
      for (const flag of ["--node-port", "--runner-port"]) {
        assert.include(
          yield* refusing({}, [flag, "0"]),
          `${flag}: expected a whole number from 1 to 65535, not "0"`
        )
      }
    }))

  it.live("describes each fault of a file of tokens, without a token", () =>
    Effect.gen(function*() {
      const example = "{ \"alice\": \"a-long-random-text\" }"
      for (
        const [content, expected] of [
          [{ alice: secret }, "the token of \"alice\" must have 16 characters or more and no spaces"],
          [{ alice: `${long("alice")} x` }, "the token of \"alice\" must have 16 characters or more and no spaces"],
          [{ alice: 7 }, "the token of \"alice\" must be a text"],
          [{ alice: long("a"), bob: long("a") }, "\"alice\" and \"bob\" have the same token"],
          [{}, "contains no token; add one, or omit --tokens"],
          [[long("alice")], `expected an object with a token for each principal, such as ${example}`],
          [
            `{ "alice": "${long("alice")}",\n}`,
            `syntax error at line 2, column 1; expected JSON such as ${example}`
          ],
          ["", `syntax error at line 1, column 1; expected JSON such as ${example}`]
        ] as const
      ) {
        const stderr = yield* refusing({ "t.json": content }, ["--tokens", "t.json"])
        assert.include(stderr, `--tokens t.json: ${expected}`)
      }
    }))

  it.live("describes a port that another process uses, and suggests another one", () =>
    Effect.gen(function*() {
      const other = createServer().listen(0, "127.0.0.1")
      yield* Effect.promise(() => once(other, "listening"))
      yield* Effect.addFinalizer(() => Effect.sync(() => other.close()))
      const { port } = other.address() as { readonly port: number }
      assert.match(
        yield* refusing({}, ["--port", String(port)]),
        new RegExp(
          `cannot listen on 127\\.0\\.0\\.1:${port}: another process uses this port \\(EADDRINUSE\\)\\n` +
            "\\s+try: another --port, or no --port for a free one"
        )
      )
    }))

  it.live("names --host if this machine cannot listen at the address", () =>
    Effect.gen(function*() {
      const files = { "tokens.json": { alice: long("alice") } }
      assert.match(
        yield* refusing(files, ["--host", "192.0.2.1", "--tokens", "tokens.json"]),
        /cannot listen on 192\.0\.2\.1:0: this machine does not have this address \(EADDRNOTAVAIL\)\s+try: another --host/
      )
    }))

  it.live("suggests a command that needs no configuration file if it finds none", () =>
    Effect.gen(function*() {
      const place = yield* workplace
      for (
        const [words, command] of [[["serve"], "serve"], [["check"], "check"], [["call", "a/b"], "tools"]] as const
      ) {
        const { status, stderr } = yield* place.run(words)
        assert.strictEqual(status, 10)
        assert.match(
          stderr,
          new RegExp(
            `error\\[MissingDocument\\]: no configuration file found in \\S+ or for the user \\([^)]+\\)\\s+` +
              `try: mcp-sessions ${command} -- npx -y some-server`
          )
        )
      }
    }))

  it.live("warns of a server that cannot start in the style of other notes, with what helps, and names the servers that it serves", () =>
    inWorkplace((place, file) =>
      Effect.gen(function*() {
        place.write("mcp-sessions.json", {
          servers: { ...servers(file).servers, missing: { command: "no-such-program" } }
        })
        const child = place.start(["serve"])
        yield* Effect.addFinalizer(() => Effect.sync(() => child.kill("SIGKILL")))
        let stderr = ""
        child.stderr?.setEncoding("utf8").on("data", (chunk: string) => stderr += chunk)
        yield* until(() => stderr, (text) => text.includes("Ctrl+C"))
        assert.match(stderr, /^warning: missing cannot be listed yet: cannot start "no-such-program" \(ENOENT\)/m)
        assert.match(stderr, /^ {2}try: install "no-such-program"/m)
        assert.match(stderr, /^serving only; waiting for missing; press Ctrl\+C to stop$/m)
        assert.notMatch(stderr, /level=|message=|fiber/)
      })
    ))
})
