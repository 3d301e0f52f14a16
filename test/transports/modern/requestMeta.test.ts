/**
 * The metadata of requests of 2026-07-28.
 */
import { assert, describe, it } from "@effect/vitest"
import {
  CLIENT_CAPABILITIES_META_KEY,
  CLIENT_INFO_META_KEY,
  LOG_LEVEL_META_KEY,
  PROTOCOL_VERSION_META_KEY
} from "@modelcontextprotocol/client"
import {
  makeRequestMeta,
  metaKeys,
  withRequestMeta
} from "../../../packages/transports/src/internal/modern/requestMeta.ts"

const clientInfo = { name: "c", version: "1" }

const shared = makeRequestMeta({
  protocolVersion: "2026-07-28",
  clientInfo,
  clientCapabilities: { roots: {} },
  logLevel: undefined
})

describe("the metadata of a request", () => {
  it("has the keys that the SDK exports", () => {
    assert.deepStrictEqual(metaKeys, {
      protocolVersion: PROTOCOL_VERSION_META_KEY,
      clientInfo: CLIENT_INFO_META_KEY,
      clientCapabilities: CLIENT_CAPABILITIES_META_KEY,
      logLevel: LOG_LEVEL_META_KEY
    })
  })

  it("states the revision, the client and its capabilities, and a log level only where one was set", () => {
    assert.deepStrictEqual({ ...shared }, {
      [PROTOCOL_VERSION_META_KEY]: "2026-07-28",
      [CLIENT_INFO_META_KEY]: clientInfo,
      [CLIENT_CAPABILITIES_META_KEY]: { roots: {} }
    })
    const levelled = makeRequestMeta({ protocolVersion: "x", clientInfo, clientCapabilities: {}, logLevel: "error" })
    assert.strictEqual(levelled[LOG_LEVEL_META_KEY], "error")
  })

  for (
    const [what, params, progressToken, expected] of [
      ["is added to a request without params", undefined, undefined, { _meta: shared }],
      ["leaves the params alone", { a: 1 }, undefined, { a: 1, _meta: shared }],
      ["keeps other keys of the caller", { _meta: { x: 1 } }, undefined, { _meta: { ...shared, x: 1 } }],
      [
        "gives way to the keys of the caller",
        { _meta: { [LOG_LEVEL_META_KEY]: "debug", [PROTOCOL_VERSION_META_KEY]: "y" } },
        undefined,
        { _meta: { ...shared, [LOG_LEVEL_META_KEY]: "debug", [PROTOCOL_VERSION_META_KEY]: "y" } }
      ],
      [
        "adds the capabilities of the caller to the shared ones",
        { _meta: { [CLIENT_CAPABILITIES_META_KEY]: { sampling: {}, extensions: { x: {} } } } },
        undefined,
        { _meta: { ...shared, [CLIENT_CAPABILITIES_META_KEY]: { roots: {}, sampling: {}, extensions: { x: {} } } } }
      ],
      ["replaces metadata that is no object", { _meta: 7 }, undefined, { _meta: shared }],
      ["carries the progress token", { _meta: { progressToken: "x" } }, 7, { _meta: { ...shared, progressToken: 7 } }]
    ] as const
  ) {
    it(what, () => {
      const given = structuredClone(params) as Record<string, unknown> | undefined
      assert.deepStrictEqual(withRequestMeta({ params: given, meta: shared, progressToken }), expected as never)
      assert.deepStrictEqual(given, params as never)
    })
  }
})
