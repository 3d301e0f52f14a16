/**
 * The page as it is packed: built from its sources, small, and without any way to make markup of a text.
 */
import { assert, describe, it } from "@effect/vitest"
import { globSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { html, script, style } from "../../../packages/transports/src/internal/dashboard/assets.ts"
import { parts } from "../../../tools/page.ts"

const source = join(import.meta.dirname, "../../../packages/transports/page")

describe("the assets of the page", () => {
  it("are what its sources give (pnpm page)", async () => {
    assert.deepStrictEqual({ html, script, style }, await parts())
  })

  it("are smaller than 25 kB together, and load nothing from elsewhere", () => {
    assert.isBelow(html.length + script.length + style.length, 25_000)
    const urls = Array.from(`${html}${script}${style}`.matchAll(/(?:https?:)?\/\/[\w.]+[^\s"'`)]*/g), ([url]) => url)
    assert.deepStrictEqual(urls, ["http://www.w3.org/2000/svg"])
  })

  it("make elements of texts nowhere", () => {
    const files = globSync("*.ts", { cwd: source })
    assert.isAbove(files.length, 8)
    const strays = files.filter((file) =>
      /innerHTML|outerHTML|insertAdjacentHTML|createContextualFragment|setHTML|DOMParser|srcdoc|document\.write|\beval\b|new Function|\.style\b/
        .test(readFileSync(join(source, file), "utf8"))
    )
    assert.deepStrictEqual(strays, [])
  })
})
