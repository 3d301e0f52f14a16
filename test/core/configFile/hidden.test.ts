import { assert, describe, it } from "@effect/vitest"
import { hidden } from "../../../packages/core/src/internal/configFile/hidden.ts"
import { parse } from "../../../packages/core/src/internal/configFile/template.ts"

describe("an entry for display", () => {
  it("hides variables, headers, keys, credentials and queries of URLs, and values of secret arguments", () => {
    const written = {
      url: "https://user:SECRET@h/p?api_key=SECRET#SECRET",
      proxy: "http://u:SECRET@127.0.0.1:1",
      env: { A: "SECRET", B: "${B}", C: { D: ["SECRET"] } },
      headers: { Authorization: "Bearer SECRET" },
      tls: { key: "SECRET", ca: "ca.pem" },
      auth: { clientId: "id", clientSecret: "SECRET" },
      args: [
        "--api-key",
        "SECRET",
        "--token=SECRET",
        "-y",
        "package",
        "--password",
        "${PASSWORD}",
        "http://a:SECRET@h/"
      ],
      command: ["x", "--secret", "SECRET"]
    }
    assert.notInclude(JSON.stringify(hidden(written)), "SECRET")
    assert.deepInclude(hidden(written), {
      url: "https://<redacted>@h/p?<redacted>",
      args: [
        "--api-key",
        "<redacted>",
        "--token=<redacted>",
        "-y",
        "package",
        "--password",
        "${PASSWORD}",
        "http://<redacted>@h/"
      ],
      tls: { key: "<redacted>", ca: "ca.pem" }
    })
  })
})

describe("a template", () => {
  it("without an end of its references is parsed in linear time", () => {
    for (const form of ["braced", "bare"] as const) {
      const text = "${A:-".repeat(400_000)
      assert.strictEqual(parse(text, form).map((part) => part.kind === "text" ? part.text : "?").join(""), text)
    }
  })
})
