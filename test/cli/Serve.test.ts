/**
 * `serve` as its users run it: as a process, with clients, signals, and what it leaves behind.
 */
import { assert, describe, it } from "@effect/vitest"
import { Client as ClientV2 } from "@modelcontextprotocol/client"
import { StdioClientTransport as StdioClientTransportV2 } from "@modelcontextprotocol/client/stdio"
import { Client } from "@modelcontextprotocol/sdk/client/index.js"
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js"
import { Effect, Fiber, type Scope } from "effect"
import { once } from "node:events"
import { call, connectV1, initialize, post, streamOf, textOf } from "../fixtures/gateway.ts"
import { keySetPath, startIssuer } from "../fixtures/jwtIssuer.ts"
import { fixture, isAlive, makeLedger, until } from "../fixtures/peer.ts"
import { bin, workplace } from "./cli.ts"

const node = process.execPath
const server = (file: string) => ({ command: node, args: [fixture("stdioServer.ts"), "v1", file] })

/** Starts `serve` in a place with two servers, and waits for the first line on stdout. */
const serving = (words: ReadonlyArray<string>, files: Readonly<Record<string, unknown>> = {}) =>
  Effect.gen(function*() {
    const { file, read } = yield* makeLedger
    const place = yield* workplace
    place.write("mcp-sessions.json", {
      servers: { good: server(file), other: server(file), bad: { command: "x", cwd: 7 } }
    })
    for (const [name, content] of Object.entries(files)) place.write(name, content)
    const child = place.start(["serve", ...words])
    yield* Effect.addFinalizer(() => Effect.sync(() => child.kill("SIGKILL")))
    let stderr = ""
    let stdout = ""
    child.stderr?.setEncoding("utf8").on("data", (chunk: string) => {
      stderr += chunk
    })
    child.stdout?.setEncoding("utf8").on("data", (chunk: string) => {
      stdout += chunk
    })
    yield* until(() => stdout, (text) => text.includes("\n"))
    const [first = ""] = stdout.split("\n")
    const ended = Effect.promise(async () => child.exitCode ?? (await once(child, "exit"))[0] as number)
    return { child, ended, first, ledger: read, stderr: () => stderr, stdout: () => stdout }
  }) satisfies Effect.Effect<unknown, never, Scope.Scope>

describe.concurrent("serve", () => {
  it.live("says at a signal what it waits for, and ends at once with its servers at a second one", () =>
    Effect.gen(function*() {
      const { child, ended, first, ledger, stderr } = yield* serving(["--resources", "good"])
      const { client } = yield* connectV1(first)
      yield* Effect.forkChild(
        Effect.ignore(
          Effect.tryPromise((signal) =>
            client.callTool({ name: "good_hang", arguments: { id: "1" } }, undefined, { signal })
          )
        ),
        { startImmediately: true }
      )
      yield* until(() => ledger("hang"), (ids) => ids.length === 1)
      child.kill("SIGINT")
      yield* until(stderr, (text) => /stopping: waiting for \d requests? in flight, for 5s at most/.test(text))
      child.kill("SIGINT")
      assert.strictEqual(yield* ended, 130)
      yield* until(() => ledger("process").filter(isAlive), (alive) => alive.length === 0)
    }))

  it.live("warns of each pattern that no tool matches", () =>
    Effect.gen(function*() {
      const patterns = [
        "--resources",
        "good",
        "--exclude",
        "good/no-such-*",
        "--exclude",
        "other/ec*",
        "--include",
        "good",
        "--include",
        "other/nope"
      ]
      const { stderr } = yield* serving(patterns)
      const warned = [...stderr().matchAll(/no tool matches the pattern \S*?"([^"\\]*)\S*" of (\w+)/g)]
      assert.deepStrictEqual(warned.map(([, pattern, key]) => `${key} ${pattern}`), [
        "include other/nope",
        "exclude good/no-such-*"
      ])
    }))

  it.live("prints its URL alone to stdout, serves the servers that are usable, and leaves nothing on SIGTERM", () =>
    Effect.gen(function*() {
      const { child, ended, first, ledger, stderr, stdout } = yield* serving([
        "--port",
        "0",
        "--audit",
        "--resources",
        "good"
      ])
      assert.match(first, /^http:\/\/127\.0\.0\.1:\d+\/mcp$/)
      const { client } = yield* connectV1(first)
      const said = yield* Effect.promise(() => client.callTool({ name: "other_echo", arguments: { message: "hi" } }))
      assert.strictEqual(textOf(said), "hi")
      const origin = new URL(first).origin
      const health = yield* post(`${origin}/healthz`, undefined, { method: "GET" })
      assert.deepStrictEqual([health.status, health.text], [200, "{\"status\":\"ok\"}"])
      const metrics = yield* post(`${origin}/metrics`, undefined, { method: "GET" })
      assert.match(metrics.text, /^mcp_sessions_requests_total\{.*server="other".*\} \d+/m)
      // Two that follow lists, and one of the client.
      assert.lengthOf(ledger("process"), 3)
      child.kill("SIGTERM")
      assert.strictEqual(yield* ended, 143)
      yield* until(() => ledger("process").filter(isAlive), (alive) => alive.length === 0)
      assert.strictEqual(stdout(), `${first}\n`)
      assert.include(stderr(), "bad")
      assert.match(
        stderr(),
        /^\{"audit":\{"time":"[^"]+","_tag":"Used","principal":"anonymous",.*"name":"other_echo".*"outcome":"Succeeded"/m
      )
      assert.notInclude(stderr(), "\"hi\"")
    }))

  it.live("says which flags help when two servers have one resource", () =>
    Effect.gen(function*() {
      const { file } = yield* makeLedger
      const place = yield* workplace
      place.write("mcp-sessions.json", { servers: { good: server(file), other: server(file) } })
      const { status, stderr } = yield* place.run(["serve"])
      assert.strictEqual(status, 2)
      assert.match(stderr, /have the same URI[^]*try: --resources <server>/)
      assert.notInclude(stderr, "warning:")
    }))

  it.live("lets a call in flight end before it ends itself", () =>
    Effect.gen(function*() {
      const { child, ended, first } = yield* serving(["--", "mcp-server-everything", "stdio"])
      const { session } = yield* post(first, initialize)
      const called = call(1, "trigger-long-running-operation", { duration: 2, steps: 2 }, { progressToken: 1 })
      const results = yield* Effect.promise(async (signal) => {
        const results: Array<string> = []
        for await (const { method, result } of await streamOf(first, session, called, signal)) {
          // A second signal would end it at once.
          if (method === "notifications/progress" && !child.killed) child.kill("SIGTERM")
          else if (result !== undefined) results.push(textOf(result))
        }
        return results
      })
      assert.match(results.join(), /^Long running operation completed/)
      assert.strictEqual(yield* ended, 143)
    }))

  it.live("asks for a token of its file, which is never shown", () =>
    Effect.gen(function*() {
      const token = "the-token-of-alice"
      const { first, stderr } = yield* serving(["good", "--tokens", "tokens.json"], { "tokens.json": { alice: token } })
      assert.strictEqual((yield* post(first, initialize)).status, 401)
      assert.strictEqual((yield* post(first, initialize, { token })).status, 200)
      const metrics = yield* post(`${new URL(first).origin}/metrics`, undefined, { method: "GET" })
      assert.strictEqual(metrics.status, 401)
      assert.notInclude(stderr(), token)
    }))

  it.live("asks for an access token of its issuer, and records one that it refuses", () =>
    Effect.gen(function*() {
      const issuer = yield* startIssuer
      const flags = ["--issuer", issuer.issuer, "--audience", "api://mcp", "--require-scope", "call"]
      const keys = ["--jwks", `${issuer.issuer}${keySetPath}`, "--public-url", "https://mcp.example.com/mcp"]
      const { first, stderr } = yield* serving(["good", "--audit", ...flags, ...keys])
      const { headers, status } = yield* post(first, initialize)
      assert.strictEqual(status, 401)
      assert.include(headers["www-authenticate"], "https://mcp.example.com/.well-known/oauth-protected-resource/mcp")
      const claims = { scope: "call" }
      const token = yield* issuer.sign("api://mcp", { claims })
      assert.strictEqual((yield* post(first, initialize, { token })).status, 200)
      const lacking = yield* issuer.sign("api://mcp", { claims: { scope: "read" } })
      assert.strictEqual((yield* post(first, initialize, { token: lacking })).status, 403)
      const other = yield* issuer.sign("api://other", { claims })
      assert.strictEqual((yield* post(first, initialize, { token: other })).status, 401)
      yield* until(stderr, (text) => text.includes("\"_tag\":\"Refused\",\"reason\":\"WrongAudience\""))
      assert.notInclude(stderr(), other.slice(0, 20))
      assert.deepStrictEqual(new Set(issuer.state.reads), new Set([keySetPath]))
    }))

  it.live("offers the tools, and takes the hosts and pages, that its flags name, at the path of its flag", () =>
    Effect.gen(function*() {
      const flags = "--path /tools --resources good --include good/* --exclude good/e* --exclude good/vague " +
        "--allow-host mcp.example.com --allow-origin https://app.example.com"
      const { first } = yield* serving(flags.split(" "))
      assert.isTrue(first.endsWith("/tools"))
      const statusWith = (headers: Readonly<Record<string, string>>) =>
        Effect.map(post(first, initialize, { headers }), ({ status }) => status)
      assert.strictEqual(yield* statusWith({ host: "mcp.example.com" }), 200)
      assert.strictEqual(yield* statusWith({ host: "other.example.com" }), 403)
      assert.strictEqual(yield* statusWith({ origin: "https://app.example.com" }), 200)
      assert.strictEqual(yield* statusWith({ origin: "https://other.example.com" }), 403)
      const { client } = yield* connectV1(first)
      const { tools } = yield* Effect.promise(() => client.listTools())
      const names = tools.map(({ name }) => name)
      assert.include(names, "good_count")
      assert.isTrue(names.every((name) => name.startsWith("good_") && !name.startsWith("good_e")))
    }))

  it.live("refuses flags that would do nothing, and says why", () =>
    Effect.gen(function*() {
      const place = yield* workplace
      place.write("mcp-sessions.json", { servers: { good: { command: "x" } } })
      const operator = yield* place.run(["serve", "--operator", "alice"])
      assert.strictEqual(operator.status, 2)
      assert.include(operator.stderr, "--operator needs --ui")
      const ofUrl = {
        "--host": "0.0.0.0",
        "--port": "3000",
        "--path": "/tools",
        "--tokens": "tokens.json",
        "--issuer": "https://auth.example.com",
        "--public-url": "https://mcp.example.com/mcp",
        "--allow-host": "mcp.example.com",
        "--allow-origin": "https://app.example.com"
      }
      const stdio = yield* place.run(["serve", "--stdio", "--ui", ...Object.entries(ofUrl).flat()])
      assert.strictEqual(stdio.status, 2)
      for (const flag of ["--ui", ...Object.keys(ofUrl)]) {
        assert.include(stdio.stderr, `${flag} cannot be used with --stdio`)
      }
    }))

  it.live("refuses flags of access tokens without an issuer", () =>
    Effect.gen(function*() {
      const place = yield* workplace
      place.write("mcp-sessions.json", { servers: { good: { command: "x" } } })
      const { status, stderr } = yield* place.run(["serve", "--audience", "x", "--jwks", "https://x.example.com/keys"])
      assert.strictEqual(status, 2)
      assert.match(stderr, /--audience needs --issuer[^]*--jwks needs --issuer/)
    }))

  it.live("refuses to listen for other machines without tokens, and refuses invalid tokens", () =>
    Effect.gen(function*() {
      const { file } = yield* makeLedger
      const place = yield* workplace
      place.write("mcp-sessions.json", { servers: { good: server(file) } })
      const open = yield* place.run(["serve", "--host", "0.0.0.0"])
      assert.match(open.stderr, /tokens/)
      assert.notStrictEqual(open.status, 0)
      place.write("tokens.json", ["the-token-of-alice"])
      const wrong = yield* place.run(["serve", "--tokens", "tokens.json"])
      assert.match(wrong.stderr, /--tokens tokens\.json: expected an object with a token for each principal/)
      assert.notInclude(wrong.stderr, "the-token-of-alice")
      assert.strictEqual(open.stdout + wrong.stdout, "")
    }))

  it.live("serves one client on its standard streams with --stdio, until they end", () =>
    Effect.gen(function*() {
      const { file, read } = yield* makeLedger
      const place = yield* workplace
      place.write("mcp-sessions.json", { servers: { good: server(file), other: server(file) } })
      const client = new Client({ name: "v1", version: "1" }, { capabilities: {} })
      yield* Effect.acquireRelease(
        Effect.promise(() =>
          client.connect(
            new StdioClientTransport({
              command: node,
              args: [bin, "--trust", "serve", "--stdio", "--exclude", "*/vague", "--resources", "good"],
              cwd: place.directory,
              env: { PATH: process.env.PATH ?? "", HOME: place.directory },
              stderr: "ignore"
            }) as Parameters<typeof client.connect>[0]
          )
        ),
        () => Effect.promise(() => client.close())
      )
      const { tools } = yield* Effect.promise(() => client.listTools())
      assert.includeMembers(tools.map(({ name }) => name), ["good_echo", "other_echo"])
      const reports: Array<number> = []
      const done = yield* Effect.promise(() =>
        client.callTool({ name: "other_steps" }, undefined, {
          onprogress: ({ progress }) => void reports.push(progress)
        })
      )
      // The client drops reports that arrive in one chunk with the response.
      assert.deepStrictEqual([textOf(done), reports], ["done", [1, 2, 3].slice(0, reports.length)])
      const error = yield* Effect.promise(() =>
        client.callTool({ name: "good_reject" }).then(() => undefined, (e) => e)
      )
      assert.deepInclude(error, { code: -32050, data: { why: "because" } })
      yield* Effect.promise(() => client.close())
      yield* until(() => read("process").filter(isAlive), (alive) => alive.length === 0)
    }))

  it.live("serves a client of 2026-07-28 on its standard streams, with progress, cancellation and an error verbatim", () =>
    Effect.gen(function*() {
      const { file, read } = yield* makeLedger
      const place = yield* workplace
      place.write("mcp-sessions.json", { servers: { good: server(file) } })
      const client = new ClientV2({ name: "v2", version: "1" }, { versionNegotiation: { mode: "auto" } })
      yield* Effect.acquireRelease(
        Effect.promise(() =>
          client.connect(
            new StdioClientTransportV2({
              command: node,
              args: [bin, "--trust", "serve", "--stdio", "--exclude", "*/vague"],
              cwd: place.directory,
              env: { PATH: process.env.PATH ?? "", HOME: place.directory },
              stderr: "ignore"
            })
          )
        ),
        () => Effect.promise(() => client.close())
      )
      assert.strictEqual(client.getProtocolEra(), "modern")
      const { tools } = yield* Effect.promise(() => client.listTools())
      assert.include(tools.map(({ name }) => name), "echo")
      const reports: Array<number> = []
      const done = yield* Effect.promise(() =>
        client.callTool({ name: "steps" }, { onprogress: ({ progress }) => void reports.push(progress) })
      )
      assert.deepStrictEqual([textOf(done), reports], ["done", [1, 2, 3].slice(0, reports.length)])
      const error = yield* Effect.promise(() => client.callTool({ name: "reject" }).then(() => undefined, (e) => e))
      assert.deepInclude(error, { code: -32050, data: { why: "because" } })
      const hanging = yield* Effect.forkChild(
        Effect.promise((signal) => client.callTool({ name: "hang", arguments: { id: "1" } }, { signal }))
      )
      yield* until(() => read("hang"), (ids) => ids.length === 1)
      yield* Fiber.interrupt(hanging)
      yield* until(() => read("cancelled"), (ids) => ids.length === 1)
      yield* Effect.promise(() => client.close())
      yield* until(() => read("process").filter(isAlive), (alive) => alive.length === 0)
    }))
})
