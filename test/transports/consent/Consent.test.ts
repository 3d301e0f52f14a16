/**
 * Consents: real ports on loopback, real processes in the place of browsers.
 */
import { assert, describe, it } from "@effect/vitest"
import type { ConfigError } from "@mcp-sessions/core"
import { Consent } from "@mcp-sessions/transports"
import { ConfigProvider, Deferred, Effect, Fiber, Layer, Queue } from "effect"
import { TestClock } from "effect/testing"
import { once } from "node:events"
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import * as Http from "node:http"
import * as Net from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"

const page = new URL("https://login.example/authorize?client_id=c&state=s&scope=a%20b")
const request = { server: "files", owner: "ada", preferred: [] }

interface Answer {
  readonly status: number
  readonly body: string
  readonly headers: Http.IncomingHttpHeaders
}

type Sent = Pick<Http.RequestOptions, "headers" | "method" | "path">

const send = (options: Sent & { readonly port: string }) =>
  Effect.promise(() =>
    new Promise<Answer>((resolve, reject) => {
      Http.request({ host: "127.0.0.1", ...options }, (response) => {
        let body = ""
        response.setEncoding("utf8").on("data", (text) => body += text)
        response.on("end", () => resolve({ status: response.statusCode ?? 0, body, headers: response.headers }))
      }).on("error", reject).end()
    })
  )

/** Listens on a port of loopback, 0 for any, and returns it. */
const occupy = (port: number) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.promise(async () => {
        const server = Net.createServer().listen(port, "127.0.0.1")
        await once(server, "listening")
        return server
      }),
      (server) => Effect.promise(() => new Promise((resolve) => server.close(resolve)))
    ),
    (server) => (server.address() as Net.AddressInfo).port
  )

const freePort = Effect.scoped(occupy(0))

/** A consent that shows the page to a queue, and opens nothing. */
const showing = Effect.gen(function*() {
  const shown = yield* Queue.unbounded<Consent.SignInPage>()
  const show = (page: Consent.SignInPage) => Effect.asVoid(Queue.offer(shown, page))
  return { shown, layer: Consent.layerPrompt({ show, read: () => Effect.undefined }) }
})

const openWith = (
  layer: Layer.Layer<Consent.Consent, ConfigError.ConfigError>,
  options: Partial<Consent.Request> = {}
) =>
  Effect.flatMap(Consent.Consent, ({ open }) => open({ ...request, ...options })).pipe(
    Effect.provide(Layer.orDie(layer), { local: true })
  )

/** Asks in the background, and waits until the page is shown. */
const asking = Effect.gen(function*() {
  const { layer, shown } = yield* showing
  const opened = yield* openWith(layer)
  const fiber = yield* Effect.forkChild(opened.ask(page))
  const { url } = yield* Queue.take(shown)
  return { fiber, url, redirectUrl: opened.redirectUrl, port: new URL(opened.redirectUrl).port }
})

const environment = (env: Record<string, string>) =>
  Layer.succeed(ConfigProvider.ConfigProvider, ConfigProvider.fromEnv({ env }))

const makeDirectory = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "consent-"))),
  (directory) => Effect.sync(() => rmSync(directory, { recursive: true }))
)

/** Writes a program in the place of a browser. */
const program = (directory: string, name: string, lines: ReadonlyArray<string>) => {
  const file = join(directory, name)
  writeFileSync(file, [`#!${process.execPath}`, ...lines].join("\n"))
  chmodSync(file, 0o700)
  return file
}

describe("a consent", () => {
  it.effect("without anybody to ask fails with the page to visit", () =>
    Effect.gen(function*() {
      const { ask, redirectUrl } = yield* openWith(Consent.layerHeadless)
      assert.match(redirectUrl, /^http:\/\/127\.0\.0\.1:\d+\/callback$/)
      const error = yield* Effect.flip(ask(page))
      assert.deepInclude(error, { _tag: "AuthRequired", status: 401, url: page.href })
      const registered = yield* openWith(Consent.layerHeadless, { preferred: ["https://a.example/cb"] })
      assert.strictEqual(registered.redirectUrl, "https://a.example/cb")
    }))

  const { layer: silent } = Effect.runSync(showing)
  const asked: Array<string> = []
  const own = Layer.succeed(
    Consent.Consent,
    Consent.make({
      open: () =>
        Effect.succeed({
          redirectUrl: "https://agent.example/callback",
          ask: (url) => Effect.sync(() => asked.push(url.href)).pipe(Effect.as(url))
        })
    })
  )
  const kinds = [
    ["headless", Consent.layerHeadless],
    ["browser", Consent.layerBrowser()],
    ["prompt", silent],
    ["own", own]
  ] as const
  for (const [kind, layer] of kinds) {
    it.effect(`of the kind ${kind} shows no page of a scheme other than http and https`, () =>
      Effect.gen(function*() {
        const { ask } = yield* openWith(layer)
        for (
          const text of ["javascript:alert(1)", "file:///etc/passwd", "data:text/html,x", "vscode://x", "ftp://x/"]
        ) {
          const error = yield* Effect.flip(ask(new URL(text)))
          assert.strictEqual(error._tag, "AuthRequired")
          assert.isUndefined(error.url)
          assert.include(error.description, new URL(text).protocol)
        }
        assert.deepStrictEqual(asked, [])
      }))
  }
})

describe("the port of a sign-in", () => {
  it.effect("receives the answer once, and shows a page that repeats nothing of it", () =>
    Effect.gen(function*() {
      const { fiber, port, redirectUrl, url } = yield* asking
      assert.strictEqual(url.href, page.href)
      const path = "/callback?code=secret-code&state=%3Cscript%3E&iss=https%3A%2F%2Flogin.example"
      const answer = yield* send({ port, path })
      assert.strictEqual(answer.status, 200)
      assert.notMatch(answer.body, /secret-code|<script|login\.example/)
      assert.deepInclude(answer.headers, {
        "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
        "referrer-policy": "no-referrer",
        "cache-control": "no-store",
        connection: "close"
      })
      assert.strictEqual((yield* Fiber.join(fiber)).href, new URL(path, redirectUrl).href)
      assert.strictEqual((yield* send({ port, path })).status, 410)
    }))

  it.effect("passes on that access was denied, and says so", () =>
    Effect.gen(function*() {
      const { fiber, port } = yield* asking
      const answer = yield* send({ port, path: "/callback?error=access_denied&state=s" })
      assert.include(answer.body, "did not grant access")
      assert.strictEqual((yield* Fiber.join(fiber)).searchParams.get("error"), "access_denied")
    }))

  it.effect("goes on waiting after requests that are no authorization response", () =>
    Effect.gen(function*() {
      const { fiber, port } = yield* asking
      const path = "/callback?code=c&state=s"
      const host = `127.0.0.1:${port}`
      const others: ReadonlyArray<readonly [expected: number, Sent]> = [
        [404, { path: "/" }],
        [404, { path: "/favicon.ico" }],
        [404, { path: "/callback/?code=c&state=s" }],
        [404, { path: "//evil.example/callback?code=c&state=s" }],
        [404, { path: "http://evil.example/callback?code=c&state=s" }],
        [400, { path: "/callback" }],
        [400, { path: "/callback?code=c" }],
        [400, { path: "/callback?state=s" }],
        [405, { path, method: "POST" }],
        [405, { path, method: "HEAD" }],
        [403, { path, headers: { host: "evil.example" } }],
        [403, { path, headers: { host: `evil.example:${port}` } }],
        [403, { path, headers: { host: "127.0.0.1" } }],
        [403, { path, headers: { host, "sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors" } }],
        [403, { path, headers: { host, "sec-fetch-site": "cross-site" } }],
        [431, { path: `${path}&x=${"x".repeat(20_000)}` }]
      ]
      for (const [expected, options] of others) {
        const { body, status } = yield* send({ port, ...options })
        assert.strictEqual(status, expected, JSON.stringify(options).slice(0, 100))
        assert.notInclude(body, "evil")
      }
      assert.isUndefined(fiber.pollUnsafe())
      yield* send({
        port,
        path,
        headers: { host: `localhost:${port}`, "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate" }
      })
      assert.strictEqual((yield* Fiber.join(fiber)).searchParams.get("code"), "c")
    }))

  it.effect("takes no answer before the user was asked", () =>
    Effect.gen(function*() {
      const { layer } = yield* showing
      const { redirectUrl } = yield* openWith(layer)
      assert.strictEqual(
        (yield* send({ port: new URL(redirectUrl).port, path: "/callback?code=c&state=s" })).status,
        410
      )
    }))

  it.effect("admits a limited number of connections", () =>
    Effect.gen(function*() {
      const { port } = yield* asking
      const closed = yield* Deferred.make<void>()
      const sockets = Array.from({ length: 30 }, () => Net.connect(Number(port), "127.0.0.1"))
      let refused = 0
      for (const socket of sockets) {
        socket.on("error", () => {})
        socket.on("close", () => {
          if (++refused === 14) Deferred.doneUnsafe(closed, Effect.void)
        })
      }
      yield* Deferred.await(closed)
      assert.strictEqual(sockets.filter((socket) => !socket.destroyed).length, 16)
      for (const socket of sockets) socket.destroy()
    }))

  it.effect("is free again after the answer, after an interruption, and after five minutes", () =>
    Effect.gen(function*() {
      const port = yield* freePort
      const preferred = [`http://127.0.0.1:${port}/callback`]
      const ends = {
        answer: () => send({ port: String(port), path: "/callback?code=c&state=s" }),
        interruption: (fiber: Fiber.Fiber<unknown, unknown>) => Fiber.interrupt(fiber),
        time: () => TestClock.adjust("5 minutes")
      }
      for (const [name, end] of Object.entries(ends)) {
        const { layer, shown } = yield* showing
        const fiber = yield* Effect.forkChild(Effect.scoped(Effect.gen(function*() {
          const { ask, redirectUrl } = yield* openWith(layer, { preferred })
          assert.strictEqual(redirectUrl, preferred[0])
          return yield* ask(page)
        })))
        yield* Queue.take(shown)
        // A browser that holds a connection open keeps nothing open.
        const idle = Net.connect(port, "127.0.0.1").on("error", () => {})
        yield* Effect.promise(() => once(idle, "connect"))
        yield* end(fiber)
        const exit = yield* Fiber.await(fiber)
        assert.strictEqual(exit._tag, name === "answer" ? "Success" : "Failure")
        if (name === "time") {
          const error = yield* Effect.flip(exit)
          assert.include(error.description, "5 minutes")
        }
        yield* Effect.scoped(occupy(port))
      }
    }))

  it.effect("is the first free one of the registered redirect URLs, the chosen port, and any", () =>
    Effect.gen(function*() {
      const { layer } = yield* showing
      const [busy, free, chosen] = [yield* occupy(0), yield* freePort, yield* freePort]
      const urlOf = (port: number, host = "127.0.0.1", path = "/cb") => `http://${host}:${port}${path}`
      const redirectOf = (
        preferred: ReadonlyArray<string>,
        layer: Layer.Layer<Consent.Consent, ConfigError.ConfigError>
      ) => Effect.scoped(Effect.map(openWith(layer, { preferred }), ({ redirectUrl }) => redirectUrl))

      assert.strictEqual(yield* redirectOf([urlOf(busy), urlOf(free, "localhost")], layer), urlOf(free, "localhost"))
      assert.strictEqual(
        yield* redirectOf(["https://localhost:1/cb", "http://other.example:1/cb", urlOf(free)], layer),
        urlOf(free)
      )
      const stable = yield* redirectOf([], layer)
      assert.strictEqual(yield* redirectOf([], layer), stable)
      const other = yield* redirectOf([urlOf(busy)], layer)
      assert.strictEqual(other, stable.replace("/callback", "/cb"))
      const withPort = Consent.layerPrompt({ port: chosen, show: () => Effect.void, read: () => Effect.undefined })
      assert.strictEqual(yield* redirectOf([], withPort), urlOf(chosen, "127.0.0.1", "/callback"))
      yield* occupy(chosen)
      assert.notStrictEqual(yield* redirectOf([], withPort), urlOf(chosen, "127.0.0.1", "/callback"))
    }))
})

describe("a prompt", () => {
  const prompt = (lines: ReadonlyArray<string | undefined>) => {
    const problems: Array<string | undefined> = []
    const left = [...lines]
    const layer = Consent.layerPrompt({
      show: () => Effect.void,
      read: (problem) =>
        Effect.sync(() => {
          problems.push(problem)
          return left.shift()
        })
    })
    return { layer, problems }
  }

  it.effect("takes the address of the last page, as a whole or from its path", () =>
    Effect.gen(function*() {
      for (const text of ["/callback?code=c&state=s", "  ?code=c&state=s\n", "whole"]) {
        const lines: Array<string> = [text]
        const { layer } = prompt(lines)
        const { ask, redirectUrl } = yield* openWith(
          text === "whole"
            ? Consent.layerPrompt({ show: () => Effect.void, read: () => Effect.succeed(`${whole}?code=c&state=s`) })
            : layer
        )
        const whole: string = redirectUrl
        const relative = text.trim().startsWith("?") ? `/callback${text.trim()}` : text
        const expected = text === "whole" ? `${whole}?code=c&state=s` : new URL(relative, redirectUrl).href
        assert.strictEqual((yield* ask(page)).href, expected)
      }
    }))

  it.effect("asks again after something else, three times in all, and repeats none of it", () =>
    Effect.gen(function*() {
      const wrong = [
        "secret-code",
        "https://evil.example/callback?code=secret-code&state=s",
        "/callback?code=secret-code"
      ]
      const second = prompt([wrong[0], "/callback?code=c&state=s"])
      const first = yield* openWith(second.layer)
      assert.strictEqual((yield* first.ask(page)).searchParams.get("code"), "c")
      assert.strictEqual(second.problems[0], undefined)
      assert.include(second.problems[1], first.redirectUrl)

      const never = prompt(wrong)
      const error = yield* Effect.flip(Effect.flatMap(openWith(never.layer), ({ ask }) => ask(page)))
      assert.strictEqual(error._tag, "AuthRequired")
      assert.strictEqual(never.problems.length, 3)
      assert.notInclude(JSON.stringify([error, error.message, never.problems]), "secret-code")
    }))
})

describe("a browser", () => {
  it.live.skipIf(process.platform === "win32")(
    "is the program in BROWSER, which gets the page as one argument",
    () =>
      Effect.gen(function*() {
        const directory = yield* makeDirectory
        const log = join(directory, "log")
        const browser = program(directory, "browser", [
          `const { appendFileSync } = require("node:fs")`,
          `const args = process.argv.slice(2)`,
          `appendFileSync(${JSON.stringify(log)}, JSON.stringify(args) + "\\n")`,
          `fetch(new URL(args.at(-1)).searchParams.get("redirect_uri") + "?code=c&state=s").then(async (response) => {`,
          `  appendFileSync(${JSON.stringify(log)}, JSON.stringify([response.status, await response.text()]) + "\\n")`,
          `})`
        ])
        const layer = Consent.layerBrowser({ show: () => Effect.die("nothing should be printed") })
        const { ask, redirectUrl } = yield* openWith(layer)
        const url = new URL("https://login.example/authorize?state=$(touch%20x);`y`&a='b'\"&x=%s|rm")
        url.searchParams.set("redirect_uri", redirectUrl)
        const answer = yield* ask(url).pipe(Effect.provide(environment({ BROWSER: `${browser} --new-window` })))
        assert.strictEqual(answer.href, `${redirectUrl}?code=c&state=s`)
        const [first = ""] = readFileSync(log, "utf8").split("\n")
        assert.deepStrictEqual(JSON.parse(first), ["--new-window", url.href])
      })
  )

  it.live.skipIf(process.platform === "win32")(
    "is the next in BROWSER if one fails, and the page is shown if all do",
    () =>
      Effect.gen(function*() {
        const directory = yield* makeDirectory
        const log = join(directory, "log")
        const failing = program(directory, "failing", [
          `require("node:fs").appendFileSync(${JSON.stringify(log)}, "tried\\n")`,
          "process.exit(3)"
        ])
        const shown = yield* Queue.unbounded<string>()
        const layer = Consent.layerBrowser({ show: ({ server, url }) => Queue.offer(shown, `${server} ${url.href}`) })
        const { ask, redirectUrl } = yield* openWith(layer)
        const fiber = yield* Effect.forkChild(
          ask(page).pipe(
            Effect.provide(environment({ BROWSER: `${join(directory, "missing")}:${failing}:${failing}` }))
          )
        )
        assert.strictEqual(yield* Queue.take(shown), `files ${page.href}`)
        assert.strictEqual(readFileSync(log, "utf8"), "tried\ntried\n")
        yield* send({ port: new URL(redirectUrl).port, path: "/callback?code=c&state=s" })
        assert.strictEqual((yield* Fiber.join(fiber)).searchParams.get("code"), "c")
      })
  )
})
