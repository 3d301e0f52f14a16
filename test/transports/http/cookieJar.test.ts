/**
 * The cookies of one connection: which are kept, for which requests, and for how long.
 */
import { assert, describe, it } from "@effect/vitest"
import { parseCookieDate } from "../../../packages/transports/src/internal/http/cookieDate.ts"
import { CookieJar } from "../../../packages/transports/src/internal/http/cookieJar.ts"

const start = Date.UTC(2026, 0, 1)

/** A jar of `mcp.example.com`, at a time that the test moves. The time of day stands still. */
const jarAt = (clock = { now: 5 }) =>
  new CookieJar({ host: "mcp.example.com", now: () => clock.now, timeOfDay: () => start })

/** The cookies that a request carries after a response has set some. */
const sent = (
  headers: ReadonlyArray<string>,
  to = "https://mcp.example.com/mcp",
  from = "https://mcp.example.com/mcp"
): string | undefined => {
  const jar = jarAt()
  jar.take(headers, new URL(from))
  return jar.headerFor(new URL(to))
}

describe("a cookie", () => {
  const kept: ReadonlyArray<readonly [header: string, sent: string]> = [
    ["lb=a", "lb=a"],
    [" lb = a b ; Path=/", "lb=a b"],
    ["lb=a=b==", "lb=a=b=="],
    ["lb=\"a\"", "lb=\"a\""],
    ["lb=", "lb="],
    ["lb=a; HttpOnly; SameSite=None; Secure; Partitioned; Unknown=1", "lb=a"],
    ["lb=a; Domain=mcp.example.com", "lb=a"],
    ["lb=a; Domain=.Example.com", "lb=a"],
    ["lb=a; Domain=", "lb=a"],
    ["lb=a; Max-Age=1", "lb=a"],
    ["lb=a; Max-Age=99999999999999999999", "lb=a"],
    ["lb=a; Max-Age=soon", "lb=a"],
    ["lb=a; Expires=Fri, 02 Jan 2026 00:00:00 GMT", "lb=a"],
    ["lb=a; Expires=never", "lb=a"],
    ["lb=a; Max-Age=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT", "lb=a"],
    ["lb=a; Path=relative", "lb=a"],
    ["__Secure-lb=a; Secure", "__Secure-lb=a"],
    ["__Host-lb=a; Secure; Path=/", "__Host-lb=a"]
  ]
  it.each(kept)("set by %s is sent back as %s", (header, expected) => {
    assert.strictEqual(sent([header]), expected)
  })

  const refused: ReadonlyArray<readonly [why: string, header: string]> = [
    ["has no name", "=a"],
    ["has no =", "lb"],
    ["is of another domain", "lb=a; Domain=other.com"],
    ["is of a domain below the host", "lb=a; Domain=x.mcp.example.com"],
    ["is of a domain whose end only looks like the host's", "lb=a; Domain=ample.com"],
    ["has ended by its Max-Age", "lb=a; Max-Age=0"],
    ["has ended by a negative Max-Age", "lb=a; Max-Age=-1"],
    ["has ended by its date", "lb=a; Expires=Thu, 01 Jan 1970 00:00:00 GMT"],
    ["has ended by its Max-Age although not by its date", "lb=a; Max-Age=0; Expires=Fri, 02 Jan 2099 00:00:00 GMT"],
    ["has a control character", "lb=a\u0007b"],
    ["has a line break", "lb=a\nx: y"],
    ["has a character that no header can hold", "lb=\u20ac"],
    ["is too large", `lb=${"x".repeat(4096)}`],
    ["breaks the promise of __Secure-", "__Secure-lb=a"],
    ["breaks the promise of __Host- by a domain", "__Host-lb=a; Secure; Path=/; Domain=mcp.example.com"],
    ["breaks the promise of __Host- by a path", "__Host-lb=a; Secure; Path=/mcp"]
  ]
  it.each(refused)("that %s is not kept", (_, header) => {
    assert.isUndefined(sent([header]))
  })

  const paths: ReadonlyArray<readonly [header: string, from: string, to: string, isSent: boolean]> = [
    ["lb=a; Path=/mcp", "/mcp", "/mcp", true],
    ["lb=a; Path=/mcp", "/mcp", "/mcp/x", true],
    ["lb=a; Path=/mcp/", "/mcp", "/mcp/x", true],
    ["lb=a; Path=/mcp", "/mcp", "/mcpx", false],
    ["lb=a; Path=/mcp/", "/mcp", "/mcp", false],
    ["lb=a; Path=/other", "/mcp", "/mcp", false],
    ["lb=a", "/v1/mcp", "/v1/messages", true],
    ["lb=a", "/v1/mcp", "/v2", false],
    ["lb=a", "/mcp", "/", true]
  ]
  it.each(paths)("set by %s at %s is sent to %s: %s", (header, from, to, isSent) => {
    const url = "https://mcp.example.com"
    assert.strictEqual(sent([header], url + to, url + from), isSent ? "lb=a" : undefined)
  })

  it("that is secure travels over TLS alone", () => {
    const http = "http://mcp.example.com/mcp"
    assert.isUndefined(sent(["lb=a; Secure"], http))
    assert.isUndefined(sent(["lb=a; Secure"], undefined, http))
    assert.strictEqual(sent(["lb=a"], http), "lb=a")
  })

  it("goes to the host that set it alone", () => {
    assert.isUndefined(sent(["lb=a; Domain=example.com"], "https://other.example.com/mcp"))
    assert.isUndefined(sent(["lb=a"], undefined, "https://other.example.com/mcp"))
  })

  it("of an address has no domain", () => {
    const url = new URL("http://127.0.0.1:8080/mcp")
    const jar = new CookieJar({ host: url.hostname, now: () => 5, timeOfDay: () => start })
    jar.take(["a=1; Domain=0.0.1", "b=2", "c=3; Domain=127.0.0.1"], url)
    assert.strictEqual(jar.headerFor(url), "b=2; c=3")
  })
})

describe("a jar", () => {
  const url = new URL("https://mcp.example.com/mcp")

  it("replaces and removes a cookie of the same name and path", () => {
    const jar = jarAt()
    jar.take(["a=1", "b=2", "a=3", "a=4; Path=/mcp"], url)
    assert.strictEqual(jar.headerFor(url), "a=4; a=3; b=2")
    jar.take(["a=; Max-Age=0"], url)
    assert.strictEqual(jar.headerFor(url), "a=4; b=2")
  })

  it("forgets a cookie when its time has come", () => {
    const clock = { now: 5 }
    const jar = jarAt(clock)
    jar.take(["a=1; Max-Age=10", "b=2; Expires=Thu, 01 Jan 2026 00:00:20 GMT", "c=3"], url)
    clock.now += 9999
    assert.strictEqual(jar.headerFor(url), "a=1; b=2; c=3")
    clock.now += 1
    assert.strictEqual(jar.headerFor(url), "b=2; c=3")
    clock.now += 10_000
    assert.strictEqual(jar.headerFor(url), "c=3")
  })

  it("keeps no more than 50 cookies, the latest", () => {
    const jar = jarAt()
    jar.take(Array.from({ length: 60 }, (_, index) => `c${index}=x`), url)
    const names = jar.headerFor(url)?.split("; ").map((pair) => pair.split("=")[0])
    assert.deepStrictEqual(names, Array.from({ length: 50 }, (_, index) => `c${index + 10}`))
  })

  it("keeps no more than 8192 characters", () => {
    const jar = jarAt()
    jar.take(["a", "b", "c"].map((name) => `${name}=${"x".repeat(4000)}`), url)
    assert.deepStrictEqual(jar.headerFor(url)?.split("; ").map((pair) => pair[0]), ["b", "c"])
  })
})

describe("the date of a cookie", () => {
  const time = Date.UTC(2026, 10, 30, 13, 5, 9)
  it.each([
    "Mon, 30 Nov 2026 13:05:09 GMT",
    "Monday, 30-Nov-26 13:05:09 GMT",
    "Mon Nov 30 13:05:09 2026",
    "30 november 2026 13:5:9",
    "2026 13:05:09 nov 30th"
  ])("is read from %s", (text) => {
    assert.strictEqual(parseCookieDate(text), time)
  })

  it.each([["01 Jan 70 00:00:00", 1970], ["01 Jan 69 00:00:00", 2069], ["01 Jan 99 00:00:00", 1999]] as const)(
    "has the century of two digits in %s",
    (text, year) => {
      assert.strictEqual(parseCookieDate(text), Date.UTC(year, 0, 1))
    }
  )

  it.each([
    "",
    "never",
    "30 Nov 2026",
    "30 Nov 13:05:09",
    "Nov 2026 13:05:09",
    "30 2026 13:05:09",
    "31 Nov 2026 13:05:09",
    "29 Feb 2026 13:05:09",
    "0 Nov 2026 13:05:09",
    "30 Nov 1600 13:05:09",
    "30 Nov 2026 24:05:09",
    "30 Nov 2026 13:60:09",
    "30 Nov 2026 13:05:60"
  ])("refuses %j", (text) => {
    assert.isUndefined(parseCookieDate(text))
  })
})
