/**
 * Sign-ins from the command line: the program as a process, a real browser command, a pseudo-terminal, and servers with ledgers of their own.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import type { ChildProcess } from "node:child_process"
import { once } from "node:events"
import { chmodSync, readdirSync, writeFileSync } from "node:fs"
import { createServer } from "node:net"
import { join } from "node:path"
import { visit } from "../fixtures/agree.ts"
import * as Auth from "../fixtures/authServer.ts"
import * as Guarded from "../fixtures/guardedHttp.ts"
import { fixture } from "../fixtures/peer.ts"
import { type Outcome, type Workplace, workplace } from "./cli.ts"
import * as Terminal from "./terminal.ts"

/** A browser command that visits the page and follows its redirects, as the browser of a user who agrees. */
const agreeing = `#!${process.execPath}
fetch(process.argv[2]).then((response) => { process.exitCode = response.ok ? 0 : 1 })
`

interface Setting extends Workplace {
  readonly auth: Auth.AuthServer
  readonly http: Guarded.Guarded
  /** Environment with a browser that agrees. */
  readonly env: Record<string, string>
}

const freePort = Effect.promise(async () => {
  const server = createServer().listen(0, "127.0.0.1")
  await once(server, "listening")
  const address = server.address()
  server.close()
  await once(server, "close")
  return typeof address === "object" && address !== null ? address.port : 0
})

const setting = (name = "guarded", config: object = {}): Effect.Effect<Setting, never, Scope.Scope> =>
  Effect.gen(function*() {
    const auth = yield* Auth.start
    const http = yield* Guarded.start(auth)
    const place = yield* workplace
    place.write("mcp-sessions.json", {
      servers: {
        // Tests run at the same time: each has a port of its own to redirect to.
        [name]: { url: http.url, protocol: "legacy", auth: { redirectPort: yield* freePort }, ...config },
        local: { command: process.execPath, args: [fixture("stdioServer.ts"), "v1", join(place.directory, "ledger")] }
      }
    })
    const browser = place.write("browser", agreeing)
    chmodSync(browser, 0o755)
    return { ...place, auth, http, env: { BROWSER: browser, MCP_SESSIONS_TOKENS: join(place.directory, "tokens") } }
  })

const errorOf = ({ stderr }: Outcome) => JSON.parse(stderr.trimEnd().split("\n").at(-1) ?? "").error

/** Collects what a process prints, until it has printed what is waited for. */
const watch = (child: ChildProcess) => {
  let text = ""
  const waiting = new Set<() => void>()
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding("utf8").on("data", (chunk: string) => {
      text += chunk
      for (const check of waiting) check()
    })
  }
  return {
    text: () => text,
    find: (pattern: RegExp) =>
      Effect.promise(() =>
        new Promise<string>((resolve) => {
          const check = () => {
            const [, found] = pattern.exec(text) ?? []
            if (found !== undefined) resolve(found)
          }
          waiting.add(check)
          check()
        })
      ),
    exit: Effect.promise(async () => {
      if (child.exitCode === null && child.signalCode === null) await once(child, "close")
      return child.exitCode
    })
  }
}

const page = /to sign in to \S+,\s+open\s+(http\S+)\s/

/** Whether a port of 127.0.0.1 is free. */
const isFree = (port: number): Effect.Effect<boolean> =>
  Effect.promise(() =>
    new Promise((resolve) => {
      const server = createServer().once("error", () => resolve(false))
      server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)))
    })
  )

/** Visits a page, and the page that it redirects to. */
const agree = async (url: string): Promise<URL> => visit(await visit(new URL(url)))

const redirectOf = (url: string): URL => new URL(new URL(url).searchParams.get("redirect_uri") ?? "")

describe.concurrent("a server that asks for a sign-in", () => {
  it.live("ends call and tools with exit status 3 and the command that signs in, and opens nothing", () =>
    Effect.gen(function*() {
      const { auth, env, http, run } = yield* setting()
      for (const words of [["call", "guarded/t"], ["tools", "guarded"], ["tools"]]) {
        const outcome = yield* run(words, { env })
        assert.strictEqual(outcome.status, 3)
        assert.match(
          outcome.stderr,
          /^error\[AuthRequired\] guarded: .*\n  sign in: mcp-sessions auth login guarded\n$/m
        )
        assert.notInclude(outcome.stderr, "code_challenge")
      }
      const json = yield* run(["call", "guarded/t", "--json"], { env })
      assert.strictEqual(json.status, 3)
      assert.deepInclude(errorOf(json), {
        code: "AuthRequired",
        server: "guarded",
        hint: "sign in: mcp-sessions auth login guarded",
        retryable: false,
        outcome: "failed"
      })
      assert.strictEqual(auth.state.authorizations.length, 0)
      assert.deepStrictEqual(http.ran, [])
    }).pipe(Effect.scoped))

  it.live("has the command that signs in in the row of check, quoted for a shell", () =>
    Effect.gen(function*() {
      const { env, run } = yield* setting("it's mine")
      const outcome = yield* run(["check"], { env })
      assert.strictEqual(outcome.status, 13)
      assert.match(
        outcome.stdout,
        /^! {2}it's mine .*AuthRequired.*\n[^]*\n\nerror\[AuthRequired\] it's mine: .*\n {2}sign in: mcp-sessions auth login 'it'\\''s mine'$/m
      )
      const [row] = JSON.parse((yield* run(["check", "--json"], { env })).stdout).servers
      assert.strictEqual(row.state, "auth_required")
      assert.strictEqual(row.lastError.hint, "sign in: mcp-sessions auth login 'it'\\''s mine'")
    }).pipe(Effect.scoped))

  it.live("gets no such advice if its definition has credentials of its own", () =>
    Effect.gen(function*() {
      for (const config of [{ auth: false }, { auth: undefined, headers: { authorization: "Bearer mine" } }]) {
        const { env, run } = yield* setting("guarded", config)
        const outcome = yield* run(["call", "guarded/t"], { env })
        assert.strictEqual(outcome.status, 3)
        assert.notInclude(outcome.stderr, "auth login")
        const login = yield* run(["auth", "login", "guarded"], { env })
        assert.strictEqual(login.status, 2)
        assert.include(login.stderr, "the definition of \"guarded\" allows no sign-in")
        assert.match((yield* run(["auth", "status", "guarded"], { env })).stdout, /^guarded +no sign-in$/m)
      }
    }).pipe(Effect.scoped))

  it.live("is signed in to once with a browser, used by later commands, and signed out of", () =>
    Effect.gen(function*() {
      const { auth, env, http, run } = yield* setting()
      const login = yield* run(["auth", "login", "guarded"], { env })
      assert.strictEqual(login.status, 0, login.stderr)
      assert.strictEqual(login.stdout, `signed in to guarded at ${auth.issuer}; expires in 59 minutes, renewable\n`)
      assert.match(login.stderr, page)
      for (let times = 0; times < 2; times++) {
        assert.deepStrictEqual(yield* run(["call", "guarded/t"], { env }), { status: 0, stdout: "ok\n", stderr: "" })
      }
      assert.deepStrictEqual(http.ran, ["t", "t"])
      assert.strictEqual(auth.state.authorizations.length, 1)

      const requests = http.ledger.length
      const reads = auth.state.metadataReads.length
      const status = yield* run(["auth", "status"], { env })
      assert.strictEqual(
        status.stdout,
        `guarded  signed in   ${auth.issuer}    expires in 59 minutes, renewable\nlocal    no sign-in\n`
      )
      const { servers: [row] } = JSON.parse((yield* run(["auth", "status", "guarded", "--json"], { env })).stdout)
      assert.isAbove(row.expiresAt, 0)
      assert.deepStrictEqual({ ...row, expiresAt: 0 }, {
        name: "guarded",
        state: "signed_in",
        issuer: auth.issuer,
        scope: null,
        expiresAt: 0,
        isRenewable: true
      })
      assert.deepStrictEqual([http.ledger.length, auth.state.metadataReads.length], [requests, reads])

      assert.strictEqual(
        (yield* run(["auth", "logout", "guarded"], { env })).stdout,
        `signed out of guarded at ${auth.issuer}\n`
      )
      assert.strictEqual(auth.state.revocations.length, 1)
      assert.match((yield* run(["auth", "status", "guarded"], { env })).stdout, /^guarded +signed out$/m)
      assert.strictEqual((yield* run(["auth", "logout", "guarded"], { env })).stdout, "guarded was not signed in\n")
      assert.strictEqual((yield* run(["call", "guarded/t"], { env })).status, 3)
    }).pipe(Effect.scoped))

  it.live("is signed in to again by a second login, although the first token is good", () =>
    Effect.gen(function*() {
      const { auth, env, run } = yield* setting()
      for (let times = 0; times < 2; times++) {
        const login = yield* run(["auth", "login", "guarded", "--json"], { env })
        assert.strictEqual(login.status, 0)
        assert.strictEqual(JSON.parse(login.stdout).state, "signed_in")
        assert.isTrue(JSON.parse(login.stderr).signIn.url.startsWith(`${auth.issuer}/authorize?`))
      }
      assert.deepStrictEqual([auth.state.authorizations.length, auth.state.registrations.length], [2, 1])
    }).pipe(Effect.scoped))

  it.live("is signed in to without a browser, at the end of stdin, by a visit of the printed page", () =>
    Effect.gen(function*() {
      const { env, run, start } = yield* setting()
      const child = start(["auth", "login", "guarded", "--no-browser"], env)
      child.stdin?.end()
      const output = watch(child)
      const url = yield* output.find(page)
      yield* Effect.promise(() => agree(url))
      assert.strictEqual(yield* output.exit, 0)
      assert.include(output.text(), "signed in to guarded")
      assert.strictEqual((yield* run(["call", "guarded/t"], { env })).status, 0)
    }).pipe(Effect.scoped))

  it.live("shows the page if no browser can be started", () =>
    Effect.gen(function*() {
      const { env, start } = yield* setting()
      const child = start(["auth", "login", "guarded"], { ...env, BROWSER: "/no/such/browser" })
      const output = watch(child)
      yield* output.find(/(no browser can be opened here)/)
      const url = yield* output.find(page)
      yield* Effect.promise(() => agree(url))
      assert.strictEqual(yield* output.exit, 0)
    }).pipe(Effect.scoped))

  it.live("has its port freed by Ctrl+C, which ends the login with exit status 130", () =>
    Effect.gen(function*() {
      const { env, run, start } = yield* setting()
      const child = start(["auth", "login", "guarded", "--no-browser"], env)
      const output = watch(child)
      const { port } = redirectOf(yield* output.find(page))
      assert.isFalse(yield* isFree(Number(port)))
      child.kill("SIGINT")
      assert.strictEqual(yield* output.exit, 130)
      assert.isTrue(yield* isFree(Number(port)))
      assert.strictEqual((yield* run(["call", "guarded/t"], { env })).status, 3)
    }).pipe(Effect.scoped))

  it.live("says why a sign-in was refused, and gives no advice to repeat it", () =>
    Effect.gen(function*() {
      const { auth, env, run } = yield* setting()
      auth.state.redirect = { code: undefined, error: "access_denied" }
      const login = yield* run(["auth", "login", "guarded"], { env })
      assert.strictEqual(login.status, 3)
      assert.include(login.stderr, "access_denied")
      assert.notInclude(login.stderr, "sign in: ")
    }).pipe(Effect.scoped))

  it.live("ends commands with exit status 4 while its authorization server is down", () =>
    Effect.gen(function*() {
      const { env, http, run } = yield* setting()
      Object.assign(http, { resource: { authorization_servers: ["http://127.0.0.1:1"] } })
      for (const words of [["call", "guarded/t"], ["auth", "login", "guarded"]]) {
        const outcome = yield* run([...words, "--json"], { env })
        assert.deepStrictEqual([outcome.status, errorOf(outcome).code], [4, "AuthorizationFailed"])
      }
    }).pipe(Effect.scoped))

  it.live("gets the scope that a refused call needs from the login that follows", () =>
    Effect.gen(function*() {
      const { auth, env, http, run } = yield* setting()
      assert.strictEqual((yield* run(["auth", "login", "guarded"], { env })).status, 0)
      http.neededScope = "write"
      const refused = yield* run(["call", "guarded/t"], { env })
      assert.strictEqual(refused.status, 3)
      assert.include(refused.stderr, "  sign in: mcp-sessions auth login guarded\n")
      const login = yield* run(["auth", "login", "guarded"], { env })
      assert.include(login.stdout, "; scope: write; ")
      assert.strictEqual(auth.state.authorizations.at(-1)?.get("scope"), "write")
      assert.strictEqual((yield* run(["call", "guarded/t"], { env })).status, 0)
      assert.deepStrictEqual(http.ran, ["t"])
    }).pipe(Effect.scoped))

  it.live("shows what an authorization server says on one line, with hidden characters escaped", () =>
    Effect.gen(function*() {
      const { auth, env, http, run } = yield* setting()
      Object.assign(http, { resource: { scopes_supported: ["a\u001b[2J\u202e", "b\nc"] } })
      const login = yield* run(["auth", "login", "guarded"], { env })
      const status = yield* run(["auth", "status"], { env })
      assert.strictEqual(auth.state.exchanges.length, 1)
      for (const text of [login.stdout, login.stderr, status.stdout]) {
        for (const hidden of ["\u001b", "\u202e"]) assert.notInclude(text, hidden)
      }
      assert.include(login.stdout, String.raw`a\u001b[2J\u202e`)
      assert.strictEqual(login.stdout.trimEnd().split("\n").length, 1)
      assert.strictEqual(status.stdout.trimEnd().split("\n").length, 2)
    }).pipe(Effect.scoped))
})

describe.concurrent("the stored tokens", () => {
  it.live("are in the directory of the user without the variable", () =>
    Effect.gen(function*() {
      const { directory, env: { BROWSER = "" }, run } = yield* setting()
      const env = { BROWSER, XDG_STATE_HOME: join(directory, "state") }
      assert.strictEqual((yield* run(["auth", "login", "guarded"], { env })).status, 0)
      if (process.platform === "linux") {
        assert.isAbove(readdirSync(join(directory, "state/mcp-sessions/tokens")).length, 0)
      }
      assert.strictEqual((yield* run(["call", "guarded/t"], { env })).status, 0)
    }).pipe(Effect.scoped))

  it.live("count as missing if they are broken, and are replaced by the next login", () =>
    Effect.gen(function*() {
      const { env, run } = yield* setting()
      yield* run(["auth", "login", "guarded"], { env })
      const directory = env.MCP_SESSIONS_TOKENS ?? ""
      for (const file of readdirSync(directory)) {
        if (file.endsWith(".json")) writeFileSync(join(directory, file), "{")
      }
      const refused = yield* run(["call", "guarded/t"], { env })
      assert.strictEqual(refused.status, 3)
      assert.include(refused.stderr, "  sign in: mcp-sessions auth login guarded\n")
      assert.strictEqual((yield* run(["call", "local/echo", "message=hi"], { env })).stdout, "hi\n")
      assert.strictEqual((yield* run(["auth", "login", "guarded"], { env })).status, 0)
      assert.strictEqual((yield* run(["call", "guarded/t"], { env })).status, 0)
    }).pipe(Effect.scoped))
})

const ask = /paste\s+the\s+address\s+of\s+its\s+last\s+page/

describe.concurrent("a login at a terminal", () => {
  it.live("takes the pasted address of the last page, however long it is", () =>
    Effect.gen(function*() {
      const place = yield* setting()
      const terminal = yield* Terminal.start(place, ["auth", "login", "guarded", "--no-browser"], { env: place.env })
      const url = yield* terminal.writes(page)
      const last = yield* Effect.promise(() => visit(new URL(url)))
      last.searchParams.set("session_state", "x".repeat(6000))
      yield* terminal.writes(ask)
      terminal.type("https://elsewhere.example/?code=c&state=s\r")
      yield* terminal.writes(/this\s+is\s+not\s+the\s+address\s+of\s+the\s+last\s+page[\s\S]*paste/)
      terminal.type(`${last.href}\r`)
      assert.strictEqual(yield* terminal.exit, 0, terminal.written())
      assert.include(terminal.written(), "signed in to guarded")
      assert.strictEqual((yield* place.run(["call", "guarded/t"], { env: place.env })).status, 0)
    }).pipe(Effect.scoped))

  it.live("ends with exit status 130 and frees its port on Ctrl+C", () =>
    Effect.gen(function*() {
      const place = yield* setting()
      const terminal = yield* Terminal.start(place, ["auth", "login", "guarded", "--no-browser"], { env: place.env })
      const { port } = redirectOf(yield* terminal.writes(page))
      yield* terminal.writes(ask)
      terminal.type(Terminal.keys.ctrlC)
      assert.strictEqual(yield* terminal.exit, 130, terminal.written())
      assert.isTrue(yield* isFree(Number(port)))
    }).pipe(Effect.scoped))
})
