/**
 * Secrets of a definition: they are found however a server quotes them, and no error shows them.
 */
import { assert, describe, it } from "@effect/vitest"
import { ServerConfig, SessionError } from "@mcp-sessions/core"
import { Effect, Schema } from "effect"
import { inspect } from "node:util"
import { redactReason } from "../../packages/transports/src/internal/redactedReasons.ts"
import * as Redactor from "../../packages/transports/src/internal/redactor.ts"
import { secretsOf } from "../../packages/transports/src/internal/secrets.ts"
import { fixture } from "../fixtures/peer.ts"
import * as Http from "../fixtures/scriptedHttp.ts"
import { withServer, withSession } from "../fixtures/withSession.ts"

const base64 = (text: string) => Buffer.from(text).toString("base64")
const json = (text: string) => JSON.stringify(text).slice(1, -1)

const quotings: Readonly<Record<string, (secret: string) => string>> = {
  "as it is": (secret) => secret,
  "in JSON": json,
  "in JSON within JSON": (secret) => json(json(secret)),
  "in a URL": (secret) => encodeURIComponent(Buffer.from(secret).toString()),
  "in the path of a URL": (secret) => encodeURI(Buffer.from(secret).toString()),
  "in HTML": (secret) => secret.replaceAll(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`),
  "in JSON of ASCII": (secret) =>
    json(secret).replaceAll(/[\u007f-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`),
  "in a form": (secret) => new URLSearchParams({ secret }).toString().slice("secret=".length),
  "in base64": base64,
  "in base64 for URLs": (secret) => Buffer.from(secret).toString("base64url")
}

/** Everything that a program can show of an error. */
const shown = (error: unknown): string => {
  const seen = new Set<unknown>()
  const texts: Array<string> = []
  const visit = (value: unknown): void => {
    if (typeof value !== "object" || value === null || seen.has(value)) return
    seen.add(value)
    texts.push(
      String(value),
      inspect(value, { depth: Infinity, showHidden: true, maxStringLength: null, maxArrayLength: null })
    )
    try {
      texts.push(JSON.stringify(value) ?? "")
    } catch {
      texts.push("a cycle")
    }
    for (const key of Reflect.ownKeys(value)) {
      const inner: unknown = Reflect.get(value, key)
      if (typeof inner === "string") texts.push(inner)
      visit(inner)
    }
    if (value instanceof Error) texts.push(value.message, value.stack ?? "")
  }
  visit(error)
  return texts.join("\n")
}

describe("the redactor", () => {
  it("removes secrets anywhere in a text, the longest first", () => {
    const redact = Redactor.make(["s3cret", "s3cret-long", "abc"])
    assert.strictEqual(redact("x s3cret-long y s3crets abc"), "x <redacted> y <redacted>s abc")
  })

  for (const [title, quote] of Object.entries(quotings)) {
    it.effect.prop(
      `finds any secret that is quoted ${title}`,
      [Schema.String, Schema.String, Schema.String],
      ([before, middle, after]) =>
        Effect.sync(() => {
          const secret = `k9${middle}Z3xy7`
          const redact = Redactor.make([secret])
          const text = redact(`${before} ${quote(secret)} ${after}`)
          assert.notInclude(text, quote(secret))
          assert.include(text, Redactor.mark)
        }),
      { arbitrary: { seed: 1 } }
    )
  }

  it.effect.prop(
    "leaves a text without a secret as it is",
    [Schema.String],
    ([text]) =>
      Effect.sync(() => assert.strictEqual(Redactor.make(["sk-live-0123456789"])(`${text} ok`), `${text} ok`)),
    { arbitrary: { seed: 1 } }
  )

  it("removes secrets that overlap, touch, or contain each other", () => {
    const redact = Redactor.make(["abc-123-def", "def-456-ghi", "123-def", "jkl-789"])
    assert.strictEqual(redact("x abc-123-def-456-ghi y"), "x <redacted> y")
    assert.strictEqual(redact("jkl-789jkl-789"), "<redacted><redacted>")
  })

  it("removes the parts of a secret: a token, a password, values of a query, a cookie or a key", () => {
    const parts: ReadonlyArray<readonly [secret: string, part: string]> = [
      ["Bearer abc-def-1", "abc-def-1"],
      ["ApiKey abc-def-1", "abc-def-1"],
      [`Basic ${base64("user:pass-word-1")}`, "pass-word-1"],
      ["postgres://user:p%40ss-1@db/x", "p@ss-1"],
      ["https://host/x?key=abc-def-12", "abc-def-12"],
      ["a=1; session=abc-def-12", "abc-def-12"],
      ["-----BEGIN KEY-----\nMIIEvQIBADANBgkq\n-----END KEY-----", "MIIEvQIBADANBgkq"],
      ["{\"private_key\":\"line-one-of-it\\nline-two-of-it\"}", "line-two-of-it"],
      ["with-a-newline-1\n", "with-a-newline-1"]
    ]
    for (const [secret, part] of parts) assert.strictEqual(Redactor.make([secret])(`<${part}>`), "<<redacted>>", secret)
  })

  it("removes the beginning of a secret where a text was cut", () => {
    const redact = Redactor.make(["sk-live-0123456789"])
    assert.strictEqual(redact("no user for sk-live-01"), "no user for <redacted>")
    assert.strictEqual(
      redact("the server said \"no user for sk-live-…\" (HTTP 400)"),
      "the server said \"no user for <redacted>…\" (HTTP 400)"
    )
  })

  it("takes linear time with a text of backslashes", () => {
    const redact = Redactor.make(["\\\"\\\n/a", "\"/\\/\"b"])
    assert.strictEqual(redact("\\".repeat(200_000)).length, 200_000)
  })

  it("removes the beginning of a secret before the first of many ellipses", () => {
    const redact = Redactor.make(["sk-live-".repeat(100)])
    const text = `sk-liv${".".repeat(400_000)}`
    assert.strictEqual(redact(text), `${Redactor.mark}${".".repeat(400_000)}`)
  })

  it("compiles no expression that grows with a secret", () => {
    const { RegExp: Original } = globalThis
    const lengths: Array<number> = []
    globalThis.RegExp = class extends Original {
      constructor(pattern: RegExp | string, flags?: string) {
        super(pattern, flags)
        lengths.push(String(pattern).length)
      }
    } as RegExpConstructor
    try {
      const secret = Array.from({ length: 200 }, (_, index) => `part-${index}.`).join("")
      const redact = Redactor.make([`Bearer ${secret}`])
      assert.strictEqual(redact("ready"), "ready")
      assert.deepStrictEqual(lengths, [])
      assert.match(redact(`no user for "${secret}"`), /^no user for "(?:<redacted>)+"$/)
    } finally {
      globalThis.RegExp = Original
    }
    assert.isNotEmpty(lengths)
    assert.isBelow(Math.max(...lengths), 200)
  })

  it("removes an encoding of the last character whole", () => {
    assert.strictEqual(Redactor.make(["sk-live-1&"])("x=sk-live-1&amp;y"), "x=<redacted>y")
    assert.strictEqual(Redactor.make(["sk-live-1%"])("x=sk-live-1%2525y"), "x=<redacted>y")
  })

  it("removes a secret whose letters change their length or their form with the case", () => {
    for (const secret of ["k9\u0130Z3xy7", "k9\u212aZ3xy7", "\u039f\u03a3 k9Z3xy7", "k9\u1e9eZ3xy7"]) {
      assert.strictEqual(Redactor.make([secret])(`\u0130 ${secret} y`), "\u0130 <redacted> y")
    }
  })

  it("removes a long secret that a server quotes on one line", () => {
    const secret = Array.from({ length: 500 }, (_, index) => `line ${index} of a key`).join("\n")
    assert.match(Redactor.make([secret])(`x ${json(secret)} y`), /^x (?:<redacted>)+ y$/)
  })

  it("removes a plain word only where it is a word of its own", () => {
    assert.strictEqual(Redactor.make(["test"])("the latest test"), "the latest <redacted>")
  })
})

const secretsIn = (definition: ServerConfig.ServerConfigInput) =>
  Effect.map(ServerConfig.decode(definition), (config) => secretsOf(config).toSorted())

describe("the secrets of a definition", () => {
  const stdio = (parts: object) => ({ command: "npx", ...parts }) as ServerConfig.ServerConfigInput
  const table: ReadonlyArray<
    readonly [title: string, definition: ServerConfig.ServerConfigInput, secrets: ReadonlyArray<string>]
  > = [
    ["are the values of variables with secret names", stdio({ env: { API_KEY: "word", DB_PASS: "a1b2" } }), [
      "a1b2",
      "word"
    ]],
    ["are not switches, whatever the name", stdio({ env: { AUTH: "true", TOKEN: "none" } }), []],
    [
      "are the values of other variables, unless they are plain",
      stdio({
        env: { REGION: "eu-1", MODE: "production", PORT: "8080", DSN: "db://u:p@h" }
      }),
      ["db://u:p@h"]
    ],
    [
      "are the values of flags",
      stdio({
        args: ["-y", "--api-key", "word", "--token=a1b2", "--verbose", "-pS3cr3t", "--url", "x://y"]
      }),
      ["-pS3cr3t", "S3cr3t", "a1b2", "word"]
    ],
    ["are arguments by position", stdio({ args: ["sk-live-0123456789", "a phrase of words"] }), [
      "a phrase of words",
      "sk-live-0123456789"
    ]],
    [
      "are not packages, programs, words, numbers and paths that exist",
      stdio({
        args: [
          "-y",
          "@scope/server-x@1.2",
          "mcp-server-git",
          "mcp/github",
          "/opt/x/server.mjs",
          process.cwd(),
          "stdio",
          "8080"
        ]
      }),
      []
    ],
    ["are values of headers", { url: "https://h/", headers: { Authorization: "Bearer a1b2c3", Accept2: "json" } }, [
      "Bearer a1b2c3"
    ]],
    ["are the query of a URL and keys in its path", { url: "https://h/mcp/s3cr3t0123456789/x?key=a1b2&b=c%20d-e-f" }, [
      "a1b2",
      "c d-e-f",
      "c d-e-f",
      "c%20d-e-f",
      "key=a1b2&b=c%20d-e-f",
      "s3cr3t0123456789"
    ]]
  ]
  for (const [title, definition, secrets] of table) {
    it.effect(
      title,
      () =>
        Effect.map(secretsIn(definition), (found) => assert.deepStrictEqual([...new Set(found)], [...new Set(secrets)]))
    )
  }
})

describe("reasons", () => {
  const delivery = "Unknown"
  const make: ReadonlyArray<(text: string, cause: unknown) => SessionError.Reason> = [
    (text, cause) => new SessionError.SpawnFailed({ command: "x", code: "ENOENT", cwd: text, cause }),
    (stderrTail) => new SessionError.ServerExited({ exitCode: 1, signal: null, stderrTail, delivery }),
    (text, cause) => new SessionError.ConnectionRefused({ address: text, code: "ENOENT", cause }),
    (stderrTail) => new SessionError.ConnectTimeout({ timeout: 1, stderrTail }),
    (description, cause) => new SessionError.TransportFailed({ description, delivery, cause }),
    (retryAfter) => new SessionError.HttpFailed({ status: 500, retryAfter, delivery }),
    (description, cause) => new SessionError.HandshakeFailed({ description, stderrTail: description, cause }),
    (revision) => new SessionError.ProtocolMismatch({ revision, supported: [revision] }),
    (text) =>
      new SessionError.ProtocolFailed({
        method: "tools/call",
        code: 1,
        description: text,
        data: { [text]: [text, { deep: text }] }
      }),
    (description, cause) => new SessionError.InvalidResult({ method: "x", description, cause }),
    (description) => new SessionError.Unsupported({ method: "x", description })
  ]

  const causes: ReadonlyArray<(text: string, inner?: unknown) => unknown> = [
    (text, inner) => new Error(text, { cause: inner }),
    (text, inner) =>
      Object.assign(new TypeError("x", { cause: inner }), { spawnargs: [text], code: text, headers: { text } }),
    (text, inner) => new AggregateError([new Error(text), inner], text),
    (text) => new SessionError.TransportFailed({ description: text, delivery, cause: new Error(text) }),
    (text, inner) => Object.assign(new Error("x", { cause: inner }), { [Symbol("x")]: text, inner: () => text }),
    (text) => ({ text, list: [text] }),
    (text) => text,
    (text) => new Map([[text, text]])
  ]

  it.effect.prop(
    "show no secret, whatever field, datum or cause holds it",
    [Schema.String, Schema.Int, Schema.Int, Schema.Int],
    ([middle, a, b, c]) =>
      Effect.sync(() => {
        const at = <A>(list: ReadonlyArray<A>, index: number): A => list[Math.abs(index) % list.length] as A
        const secret = `k9${middle}Z3xy7`
        const redact = Redactor.make([secret])
        const reason = at(make, a)(`x ${secret} y`, at(causes, b)(secret, at(causes, c)(secret)))
        const redacted = redactReason(reason, redact)
        const text = shown(new SessionError.SessionError({ server: "s", reason: redacted }))
        assert.notInclude(text, secret)
        assert.notInclude(text, json(secret))
        assert.strictEqual(redacted._tag, reason._tag)
        assert.strictEqual(redacted.delivery, reason.delivery)
      }),
    { arbitrary: { seed: 1 } }
  )

  it("stay the same objects without a secret", () => {
    const reason = new SessionError.ProtocolFailed({ method: "x", code: 1, description: "no", data: { a: [1, "b"] } })
    assert.strictEqual(redactReason(reason, Redactor.make(["sk-live-1"])), reason)
  })

  it("keep what a cause of the platform says", () => {
    const cause = Object.assign(new Error("connect ECONNREFUSED"), {
      code: "ECONNREFUSED",
      syscall: "connect",
      port: 1
    })
    const reason = new SessionError.ConnectionRefused({ address: "a", code: "ECONNREFUSED", cause })
    const { cause: copy } = redactReason(reason, Redactor.make([]))
    assert.instanceOf(copy, Error)
    const { message, stack } = cause
    assert.deepInclude(Object(copy), { message, stack, code: "ECONNREFUSED", syscall: "connect", port: 1 })
  })

  it("keep data of any depth from overflowing the stack", () => {
    const data: unknown = JSON.parse("[".repeat(5000) + "]".repeat(5000))
    const reason = new SessionError.ProtocolFailed({ method: "x", code: 1, description: "no", data })
    assert.strictEqual(redactReason(reason, Redactor.make([]))._tag, "ProtocolFailed")
  })
})

const secret = "sk-live-\"0123\"/45+67"
const forms = Object.values(quotings).map((quote) => quote(secret))

const assertClean = (value: unknown): void => {
  const text = shown(value)
  for (const form of forms) assert.notInclude(text, form)
}

describe("a stdio server that quotes its variables and arguments", () => {
  const quoting = (place: string) => ({
    command: process.execPath,
    args: [fixture("quotingStdio.mjs"), place, "--api-key", secret, `--token=${secret}`],
    env: { SECRET: secret },
    protocol: "legacy"
  })

  for (const place of ["stderr", "version", "handshake", "member", "exit", "call"]) {
    it.live(`shows no secret in its error (${place})`, () =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(withSession(quoting(place), (session) => session.callTool("x")))
        assert.strictEqual(error._tag, "SessionError")
        assertClean(error)
      }))
  }

  for (const place of ["noise", "name"]) {
    it.live(`shows no secret in what is known of it (${place})`, () =>
      Effect.map(withSession(quoting(place), (session) => session.connect), (info) => {
        assert.include(JSON.stringify(info), Redactor.mark)
        assertClean(info)
      }))
  }

  it.live("shows no argument of a command that does not exist", () =>
    Effect.map(
      Effect.flip(withSession({ ...quoting("x"), command: "no-such-command" }, (session) => session.ping)),
      assertClean
    ))
})

describe("an HTTP server that quotes the headers and the URL", () => {
  const quoteOf = ({ request }: Http.Arrival) => `no user for ${request.headers.authorization} at ${request.url}`

  const places: Readonly<Record<string, (arrival: Http.Arrival, quote: string) => void>> = {
    "a JSON-RPC error": ({ message: { id }, response }, quote) =>
      Http.json(response, { jsonrpc: "2.0", id, error: { code: -1, message: quote, data: { [quote]: quote } } }),
    "a refusal with text": ({ response }, quote) => response.writeHead(400).end(quote),
    "a failure with a JSON-RPC error": ({ message: { id }, response }, quote) =>
      response.writeHead(500, { "content-type": "application/json", "retry-after": encodeURIComponent(quote) })
        .end(JSON.stringify({ jsonrpc: "2.0", id, error: { code: -1, message: quote } })),
    "a challenge": ({ response }, quote) =>
      response.writeHead(401, { "www-authenticate": `Bearer error="${encodeURIComponent(quote)}"` }).end(quote),
    "a protocol version": ({ message: { id }, response }, quote) =>
      Http.json(
        response,
        Http.result(id, {
          protocolVersion: quote,
          capabilities: {},
          serverInfo: { name: "x", version: "1" },
          content: quote
        })
      ),
    "a redirect to another origin": ({ response }, quote) =>
      response.writeHead(307, { location: `http://other.invalid/?${encodeURIComponent(quote)}` }).end(),
    "a body that is not JSON": ({ response }, quote) =>
      response.writeHead(200, { "content-type": "application/json" }).end(quote),
    "a body of an unknown type": ({ response }, quote) =>
      response.writeHead(200, { "content-type": "text/plain" }).end(quote),
    "a stream with a foreign event": ({ response }, quote) => {
      Http.stream(response, `event: error\ndata: ${quote}\n\n`, `data: ${quote}\n\n`)
      response.end()
    },
    "a connection that breaks": ({ response }) => response.destroy()
  }

  for (const method of ["initialize", "tools/call"]) {
    for (const [place, answer] of Object.entries(places)) {
      it.live(`shows no secret in its error (${place}, ${method})`, () =>
        Effect.gen(function*() {
          let quoted = 0
          const server = yield* Http.start((arrival) => {
            if (arrival.message.method !== method) return false
            quoted++
            answer(arrival, quoteOf(arrival))
            return true
          })
          const config = {
            transport: "streamable_http",
            url: `${server.url}?key=${encodeURIComponent(secret)}`,
            headers: { Authorization: `Bearer ${secret}` },
            protocol: "legacy"
          }
          const error = yield* Effect.flip(withSession(config, (session) => session.callTool("x")))
          assert.isAbove(quoted, 0)
          assert.strictEqual(error._tag, "SessionError")
          assertClean(error)
        }).pipe(Effect.scoped))
    }
  }

  it.live("shows no secret in its warnings", () =>
    Effect.map(
      withServer((arrival) => {
        const { message, response } = arrival
        if (message.method !== "tools/call") return false
        Http.stream(response, `data: ${quoteOf(arrival)}\n\n`, Http.event(Http.toolResult(message.id, "ok")))
        response.end()
        return true
      }, (session) =>
        Effect.andThen(session.callTool("x"), session.connect), {
        config: { headers: { Authorization: `Bearer ${secret}` } }
      }),
      ({ value }) => {
        assert.include(value.warnings.join(), Redactor.mark)
        assertClean(value)
      }
    ))
})
