import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { interpolate } from "../../../packages/core/src/internal/configFile/interpolate.ts"

const places = {
  workspaceFolder: "/w",
  workspaceFolderBasename: "w",
  userHome: undefined,
  pathSeparator: "/",
  "/": "/"
}
const replaced = (text: string, environment: Record<string, string>, form: "braced" | "bare" = "braced") =>
  interpolate(text, form, { environment, places, inputs: new Map() })

describe("templates", () => {
  it.prop("put a value in once, whatever it looks like", [
    Schema.String,
    Schema.Literals(["${V}", "${env:V}", "{env:V}"])
  ], ([value, form]) => {
    assert.deepStrictEqual(replaced(form, { V: value, V2: "no" }), { value, missing: [] })
  })

  it.prop("leave a text as it is if its dollars are escaped", [Schema.String], ([text]) => {
    const escaped = text.replaceAll("${", "$${")
    const hasReference = /\$\$\{|\{env:[A-Za-z_]\w*\}/.test(text)
    if (!hasReference) assert.deepStrictEqual(replaced(escaped, {}), { value: text, missing: [] })
  })

  it("report every reference without a value, and references of an unknown form", () => {
    assert.deepStrictEqual(replaced("${A}-${B:-d}-${file:x}-${userHome}", {}), {
      value: "-d--",
      missing: [
        { kind: "variable", name: "A", path: [] },
        { kind: "invalid", path: [] },
        { kind: "variable", name: "userHome", path: [] }
      ]
    })
  })

  it("have variables without braces only where their program has them", () => {
    assert.strictEqual(replaced("$V $$V", { V: "v" }).value, "$V $$V")
    assert.strictEqual(replaced("$V $$V", { V: "v" }, "bare").value, "v $V")
  })
})
