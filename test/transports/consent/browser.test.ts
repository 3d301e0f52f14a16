/**
 * Which command opens a page, on each platform.
 */
import { assert, describe, it } from "@effect/vitest"
import { commandsOf } from "../../../packages/transports/src/internal/consent/browser.ts"
import { candidatesOf, portOf } from "../../../packages/transports/src/internal/consent/redirectUrls.ts"

const url = "https://login.example/a?x=1&y=%20$&"
const systemRoot = "D:\\Windows"

describe("the commands that open a page", () => {
  const rows: ReadonlyArray<readonly [string, string | undefined, ReadonlyArray<ReadonlyArray<string>>]> = [
    ["linux", undefined, [["xdg-open", url]]],
    ["freebsd", undefined, [["xdg-open", url]]],
    ["darwin", undefined, [["open", url]]],
    ["win32", undefined, [["D:\\Windows\\System32\\rundll32.exe", "url.dll,FileProtocolHandler", url]]],
    ["linux", "", [["xdg-open", url]]],
    ["linux", "firefox", [["firefox", url]]],
    ["darwin", "firefox --new-tab", [["firefox", "--new-tab", url]]],
    ["linux", "w3m  -o x=%s -y:lynx", [["w3m", "-o", `x=${url}`, "-y"], ["lynx", url]]],
    ["linux", ":firefox:", [["firefox", url]]],
    ["win32", "C:\\Program Files\\b.exe", [["C:\\Program Files\\b.exe", url]]]
  ]
  for (const [platform, browser, expected] of rows) {
    it(`on ${platform} with BROWSER ${browser === undefined ? "unset" : JSON.stringify(browser)} are ${expected.map(([program]) => program).join(", ")}`, () => {
      assert.deepStrictEqual(commandsOf({ platform, browser, systemRoot, url }), expected)
    })
  }
})

describe("the ports to listen on", () => {
  it("differ between servers, stay the same for one, and are none that systems hand out", () => {
    const ports = ["a", "b", "files", "x".repeat(300), ""].map(portOf)
    assert.deepStrictEqual(["a", "b", "files", "x".repeat(300), ""].map(portOf), ports)
    assert.strictEqual(new Set(ports).size, ports.length)
    for (const port of ports) assert.isTrue(port >= 20_000 && port < 32_000)
  })

  it("keep the path of a registered redirect URL that has no port", () => {
    const [first] = candidatesOf({ server: "a", preferred: ["http://127.0.0.1/oauth"], port: undefined })
    assert.strictEqual(first?.urlOf(first.port), `http://127.0.0.1:${portOf("a")}/oauth`)
  })
})
