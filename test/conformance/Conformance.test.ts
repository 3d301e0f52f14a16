/**
 * The official conformance suite through the session layer: all that both revisions require, the extensions, and the revisions before.
 *
 * Each scenario has the number of checks that it has to pass: some scenarios are content with a client that does nothing.
 */
import { assert, describe, it } from "@effect/vitest"
import { runSuite } from "./suite.ts"

type Floors = Readonly<Record<string, number>>

/** Authorization that both revisions require. */
const authorization: Floors = {
  "auth/metadata-default": 19,
  "auth/metadata-var1": 19,
  "auth/metadata-var2": 19,
  "auth/metadata-var3": 19,
  "auth/basic-cimd": 13,
  "auth/scope-from-www-authenticate": 15,
  "auth/scope-from-scopes-supported": 15,
  "auth/scope-omitted-when-undefined": 15,
  "auth/scope-step-up": 23,
  "auth/scope-retry-limit": 12,
  "auth/token-endpoint-auth-basic": 20,
  "auth/token-endpoint-auth-post": 20,
  "auth/token-endpoint-auth-none": 20,
  "auth/pre-registration": 13
}

const extensions: Floors = {
  "auth/client-credentials-jwt": 7,
  "auth/client-credentials-basic": 7,
  "auth/enterprise-managed-authorization": 8,
  "auth/dpop": 13,
  "auth/dpop-nonce": 14,
  "auth/wif-jwt-bearer": 7
}

const runs: ReadonlyArray<{
  readonly title: string
  readonly args: ReadonlyArray<string>
  readonly total: number
  readonly floors: Floors
}> = [
  {
    title: "all that 2025-11-25 requires",
    args: ["--requirements", "2025-11-25"],
    total: 330,
    floors: {
      initialize: 1,
      tools_call: 2,
      "elicitation-sep1034-client-defaults": 5,
      "sse-retry": 3,
      ...authorization,
      ...extensions,
      "json-schema-2020-12-preservation": 6
    }
  },
  {
    title: "all that 2026-07-28 requires",
    args: ["--requirements", "2026-07-28"],
    total: 479,
    floors: {
      tools_call: 2,
      "request-metadata": 8,
      ...authorization,
      "auth/resource-mismatch": 2,
      "auth/offline-access-scope": 11,
      "auth/offline-access-not-supported": 14,
      "auth/authorization-server-migration": 27,
      "auth/iss-supported": 14,
      "auth/iss-not-advertised": 14,
      "auth/iss-supported-missing": 8,
      "auth/iss-wrong-issuer": 8,
      "auth/iss-unexpected": 8,
      "auth/iss-normalized": 8,
      "auth/metadata-issuer-mismatch": 3,
      "sep-2322-client-request-state": 5,
      "http-standard-headers": 9,
      "http-custom-headers": 18,
      "http-invalid-tool-headers": 12,
      "json-schema-ref-no-deref": 1,
      ...extensions,
      "json-schema-2020-12-preservation": 9
    }
  },
  {
    title: "the authorization of 2025-03-26",
    args: ["--suite", "backcompat"],
    total: 20,
    floors: { "auth/2025-03-26-oauth-metadata-backcompat": 13, "auth/2025-03-26-oauth-endpoint-fallback": 7 }
  }
]

describe("the conformance suite", () => {
  for (const { args, floors, title, total } of runs) {
    it(`passes ${title}: at least ${total} checks, and no failure is expected`, async () => {
      const { code, output } = await runSuite(...args)
      const lines = output.matchAll(/^[✓✗] (\S+): (\d+) passed, (\d+) failed(?:, (\d+) warnings)?$/gm)
      const passed: Record<string, number> = {}
      for (const [, scenario = "", count, failed, warnings = "0"] of lines) {
        assert.deepStrictEqual([failed, warnings], ["0", "0"], output)
        passed[scenario] = Number(count)
      }
      assert.deepStrictEqual(Object.keys(passed).toSorted(), Object.keys(floors).toSorted(), output)
      for (const [scenario, floor] of Object.entries(floors)) assert.isAtLeast(passed[scenario] ?? 0, floor, scenario)
      const [, all, failed] = /^Total: (\d+) passed, (\d+) failed, 0 warnings$/m.exec(output) ?? []
      assert.isAtLeast(Number(all), total, output)
      assert.deepStrictEqual([code, failed], [0, "0"], output)
    }, 180_000)
  }

  for (const [scenario, checks] of [["initialize", 1], ["tools_call", 2]] as const) {
    it(`passes ${scenario} of 2025-06-18 with at least ${checks} checks`, async () => {
      const { code, output } = await runSuite("--scenario", scenario, "--spec-version", "2025-06-18")
      assert.strictEqual(code, 0, output)
      const [, passed, all] = /Passed: (\d+)\/(\d+), 0 failed, 0 warnings/.exec(output) ?? []
      assert.strictEqual(passed, all, output)
      assert.isAtLeast(Number(passed), checks, output)
    })
  }
})
