/**
 * `WWW-Authenticate` as servers write it.
 */
import { assert, describe, it } from "@effect/vitest"
import { readChallenge } from "../../../packages/transports/src/internal/oauth/challenge.ts"

const url = "https://mcp.example/meta"

const nothing = { metadataUrl: undefined, scope: undefined, error: undefined }

const headers: ReadonlyArray<readonly [title: string, header: string]> = [
  ["of one scheme", `Bearer resource_metadata="${url}"`],
  ["after another scheme in the same header", `Basic realm="x", Bearer resource_metadata="${url}"`],
  ["after credentials of another scheme", `Negotiate YIIGeg==, Bearer resource_metadata="${url}"`],
  [
    "after a scheme that has a parameter of the same name",
    `Custom resource_metadata="https://evil.example", Bearer resource_metadata="${url}"`
  ],
  ["in another case and with spaces", `bearer   Resource_Metadata = "${url}"`],
  ["without quotes", `Bearer resource_metadata=${url}`],
  ["of DPoP", `DPoP algs="ES256", resource_metadata="${url}"`],
  [
    "after a text in quotes that looks like a parameter",
    `Bearer realm="resource_metadata=\\"https://evil.example\\"", resource_metadata="${url}"`
  ]
]

describe("a challenge of a server", () => {
  for (const [title, header] of headers) {
    it(`is read ${title}`, () => {
      assert.deepStrictEqual(readChallenge(header), { ...nothing, metadataUrl: url })
    })
  }

  it("tells nothing by a parameter whose name only ends alike, a URL that is none, or another scheme", () => {
    for (
      const header of [
        `Bearer my_error="x", my_scope="y"`,
        `Bearer resource_metadata="no URL"`,
        `Basic error="x"`,
        "",
        ",,=\"",
        "Bearer"
      ]
    ) assert.deepStrictEqual(readChallenge(header), nothing)
  })

  it("tells the error and the scopes", () => {
    assert.deepStrictEqual(readChallenge(`Bearer error="insufficient_scope", scope="a b", error_description="a, b"`), {
      ...nothing,
      error: "insufficient_scope",
      scope: "a b"
    })
  })

  it("is not read if it is too long", () => {
    assert.deepStrictEqual(readChallenge(`Bearer error="x", realm="${"a".repeat(8192)}"`), nothing)
  })
})
