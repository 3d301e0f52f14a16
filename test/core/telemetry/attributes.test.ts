/**
 * Attributes of servers and requests, by the conventions.
 */
import { assert, describe, it } from "@effect/vitest"
import { ServerConfig } from "@mcp-sessions/core"
import { Effect } from "effect"
import { networkAttributes, spanAttributes } from "../../../packages/core/src/internal/telemetry/attributes.ts"

const networkOf = (config: typeof ServerConfig.ServerConfig.Encoded) =>
  Effect.map(ServerConfig.decode(config), networkAttributes)

describe("the network of a server", () => {
  it.effect("is a pipe for a process", () =>
    Effect.map(
      networkOf({ transport: "stdio", command: "s" }),
      (network) => assert.deepStrictEqual(network, { "network.transport": "pipe" })
    ))

  for (
    const [url, address, port] of [
      ["https://example.com/mcp?key=secret", "example.com", "443"],
      ["http://example.com:8080/mcp", "example.com", "8080"],
      ["http://[::1]:9000/mcp", "::1", "9000"],
      ["wss://example.com", "example.com", "443"]
    ] as const
  ) {
    it.effect(`is the host and the port of ${url}`, () =>
      Effect.map(
        networkOf({ transport: url.startsWith("ws") ? "websocket" : "streamable_http", url }),
        (network) =>
          assert.deepStrictEqual(network, {
            "network.transport": "tcp",
            "network.protocol.name": url.startsWith("ws") ? "websocket" : "http",
            "server.address": address,
            "server.port": port
          })
      ))
  }
})

describe("the URI of a resource", () => {
  const shown = (uri: string) => spanAttributes({ method: "resources/read", uri })["mcp.resource.uri"]

  it("has no user, no query and no fragment", () => {
    assert.strictEqual(shown("postgres://ada:secret@host/db?password=secret#x"), "postgres://host/db")
    assert.strictEqual(shown("https://token@host"), "https://host")
  })

  it("keeps the rest, an @ of a path too", () => {
    assert.strictEqual(shown("npm://registry/@scope/name"), "npm://registry/@scope/name")
    assert.strictEqual(shown("note:1"), "note:1")
  })

  it("is cut at 256 characters", () => {
    assert.strictEqual(shown(`note:${"x".repeat(1000)}`)?.length, 256)
  })
})
