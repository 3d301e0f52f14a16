/**
 * The page in a real browser. Skipped where the machine has none: set `CHROME` to the program of Chromium or Chrome.
 */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { readFileSync, rmSync, writeFileSync } from "node:fs"
import { createRequire } from "node:module"
import type { Browser, BrowserContextOptions, Page } from "playwright-core"
import { launch, program, tab } from "../../fixtures/browser.ts"
import { startPage } from "../../fixtures/page.ts"
import { until } from "../../fixtures/peer.ts"
import { faint, focused, foreign, outline, overflows } from "../../inPage/inPage.ts"

const markup = "<img src=x onerror=\"globalThis.pwned=1\">"

/** Runs steps in a browser. A step waits until it can be taken. */
const steps = <A>(run: () => Promise<A>) => Effect.promise(run)

/** The browser of all tests. Each has cookies of its own. */
let browser: Browser

/** Opens the page of a gateway, signed in. `faults` receives errors of scripts, and what the policy of the page refuses. */
const open = (options: BrowserContextOptions = {}) =>
  Effect.gen(function*() {
    const gateway = yield* startPage()
    const page = yield* tab(browser, { viewport: { width: 1280, height: 900 }, ...options })
    const faults: Array<string> = []
    page.on("pageerror", ({ message }) => faults.push(message))
    page.on("console", (message) => {
      if (message.type() === "error") faults.push(message.text())
    })
    yield* steps(async () => {
      await page.goto(gateway.url)
      await page.getByRole("rowheader", { name: "marked" }).waitFor()
      await page.getByLabel("id *").waitFor()
    })
    return { ...gateway, page, faults }
  })

const choose = async (page: Page, tool: string): Promise<void> => {
  await page.getByLabel("Tool", { exact: true }).selectOption(tool)
}

const call = async (page: Page): Promise<void> => {
  await page.getByRole("button", { name: "Call", exact: true }).click()
  await page.locator("#try strong").waitFor()
}

const server = (page: Page) => page.locator("#servers tbody tr").filter({ hasText: "marked" })

/** Tabs on until something has the focus. */
const tabTo = async (page: Page, name: string): Promise<void> => {
  for (let n = 0; n < 60; n++) {
    await page.keyboard.press("Tab")
    if (await page.evaluate(focused) === name) return
  }
  assert.fail(`the keyboard does not reach ${name}`)
}

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8")

/** The violations that axe finds. */
const violations = (page: Page): Promise<ReadonlyArray<string>> =>
  page.evaluate(`${axe}; axe.run().then(({ violations }) =>
    violations.map(({ id, nodes }) => id + " " + nodes.map(({ html }) => html).join(" ")))`)

if (program === undefined) {
  console.warn("the page is not tried in a browser: no Chromium or Chrome is found; set CHROME")
}

describe.skipIf(program === undefined)(
  program === undefined
    ? "the page in a browser (skipped: no Chromium or Chrome is found; set CHROME)"
    : "the page in a browser",
  () => {
    beforeAll(async () => {
      browser = await launch()
    })
    afterAll(() => browser.close())

    it.live("opens by its link, which is not in the address any more, and stays open when it is loaded again", () =>
      Effect.gen(function*() {
        const { faults, origin, page } = yield* open()
        assert.strictEqual(page.url(), `${origin}/ui`)
        yield* steps(async () => {
          await page.reload()
          await page.getByRole("rowheader", { name: "marked" }).waitFor()
          await page.getByRole("button", { name: "Sign out" }).click()
          await page.getByText("Open the link that the program has printed").waitFor()
          await page.reload()
          await page.getByText("Open the link that the program has printed").waitFor()
        })
        assert.deepStrictEqual(faults, [])
      }))

    it.live("asks for a token where the gateway has tokens, and shows to a principal what is its own", () =>
      Effect.gen(function*() {
        const { url } = yield* startPage({ tokens: { alice: Redacted.make("the-token-of-alice") } })
        const page = yield* tab(browser)
        yield* steps(async () => {
          await page.goto(url)
          await page.getByLabel("Bearer token").fill("another-token-of-somebody")
          await page.keyboard.press("Enter")
          await page.getByText("the request needs a bearer token").waitFor()
          await page.getByLabel("Bearer token").fill("the-token-of-alice")
          await page.getByRole("button", { name: "Sign in" }).click()
          await page.getByText("live · alice, own sessions only").waitFor()
          await page.getByRole("rowheader", { name: "marked" }).waitFor()
          assert.strictEqual(await page.getByRole("button", { name: "Restart marked" }).count(), 0)
          await choose(page, "plain")
          await call(page)
          await page.getByText("plain ran").waitFor()
        })
      }))

    it.live("asks again for a link when the link was used", () =>
      Effect.gen(function*() {
        const { url } = yield* open()
        const other = yield* tab(browser)
        yield* steps(async () => {
          await other.goto(url)
          await other.getByText("the link was already used, or is not the latest one").waitFor()
        })
      }))

    it.live("shows that a server has gone down, and that it is back after Restart", () =>
      Effect.gen(function*() {
        const { file, ledger, page } = yield* open()
        yield* steps(async () => {
          await choose(page, "plain")
          await call(page)
        })
        writeFileSync(`${file}.down`, "")
        yield* Effect.addFinalizer(() => Effect.sync(() => rmSync(`${file}.down`, { force: true })))
        yield* steps(async () => {
          await server(page).getByText("healthy").waitFor()
          await choose(page, "die")
          await call(page)
          await page.getByText("The tool may have run. Check what it did before you call it again.").waitFor()
          await server(page).getByText("unhealthy").waitFor()
          await server(page).getByText("stderr", { exact: true }).click()
          await server(page).getByText(`cannot start ${markup}`).waitFor()
        })
        const before = ledger("process").length
        rmSync(`${file}.down`)
        yield* steps(async () => {
          await server(page).getByRole("button", { name: "Restart marked" }).click()
          await server(page).getByText("✓ healthy").waitFor()
          await server(page).getByText("ready", { exact: true }).waitFor()
        })
        assert.isAbove(ledger("process").length, before)
      }))

    it.live("calls a tool with the values of its form, and shows the result and the call", () =>
      Effect.gen(function*() {
        const { ledger, page } = yield* open()
        yield* steps(async () => {
          await page.getByLabel("id *").fill("12345678901234567890")
          await page.getByLabel("Note (note)").fill("two\nlines")
          await page.getByLabel("price").fill("1.5")
          await page.getByLabel("express").selectOption("true")
          await page.getByLabel("size").selectOption("large")
          await page.getByRole("button", { name: "Add to items" }).click()
          await page.getByLabel("items 1 *").fill("first")
          await page.getByLabel("city").fill("Here")
          await page.getByLabel("extra as JSON").fill("[1, null]")
          await call(page)
          await page.getByText("Succeeded · answered").waitFor()
          assert.strictEqual(
            await page.locator("#try pre").textContent(),
            "{\"id\":12345678901234567890,\"note\":\"two\\nlines\",\"price\":1.5,\"express\":true,\"size\":\"large\"," +
              "\"items\":[\"first\"],\"address\":{\"city\":\"Here\"},\"extra\":[1,null]}"
          )
          await page.locator("#calls tbody tr").filter({ hasText: "order" }).getByText("answered").waitFor()
          await page.locator("#clients").getByText("this page").waitFor()
        })
        assert.deepStrictEqual(ledger("call"), ["order"])
      }))

    it.live("says which value is not valid, and calls nothing", () =>
      Effect.gen(function*() {
        const { ledger, page } = yield* open()
        yield* steps(async () => {
          await page.getByLabel("id *").fill("1.5")
          await page.getByRole("button", { name: "Call", exact: true }).click()
          await page.getByText("id: expected a whole number").waitFor()
          assert.strictEqual(await page.evaluate(focused), "id *")
          await page.getByRole("button", { name: "Edit as JSON" }).click()
          await page.getByLabel("id *").fill("2")
          await page.getByRole("button", { name: "Edit as JSON" }).click()
          assert.strictEqual(await page.getByLabel("Arguments as JSON").inputValue(), "{\"id\":2}")
          await page.getByLabel("Arguments as JSON").fill("{\"id\":")
          await page.getByRole("button", { name: "Call", exact: true }).click()
          await page.getByText("the arguments are not JSON").waitFor()
        })
        assert.deepStrictEqual(ledger("call"), [])
      }))

    it.live("cancels a call that takes too long", () =>
      Effect.gen(function*() {
        const { ledger, page } = yield* open()
        yield* steps(async () => {
          await choose(page, "hang")
          await page.getByRole("button", { name: "Call", exact: true }).click()
        })
        yield* until(() => ledger("call"), (calls) => calls.includes("hang"))
        yield* steps(async () => {
          await page.getByRole("button", { name: "Cancel the call" }).click()
          await page.getByText("cancelled; the tool may have run").waitFor()
        })
        yield* until(() => ledger("cancelled"), (calls) => calls.includes("hang"))
      }))

    it.live("shows names, descriptions, results and errors of servers as text", () =>
      Effect.gen(function*() {
        const { faults, page } = yield* open()
        yield* steps(async () => {
          await choose(page, markup)
          await page.getByText("</p><script>globalThis.pwned=1</script>").waitFor()
          await page.getByLabel(`${markup} (${markup})`).fill(markup)
          await call(page)
          await page.locator("#try pre.text").getByText(markup).waitFor()
          await page.locator("#try pre.json").first().waitFor()
          await page.getByText("not shown: an image of the type image/svg+xml").waitFor()
          await choose(page, "refuse")
          await call(page)
          await page.getByText(`refused ${markup}`).waitFor()
          await choose(page, "die")
          await call(page)
          await server(page).getByText(`told to die ${markup}`).waitFor({ state: "attached" })
          await page.locator("#calls tbody tr").filter({ hasText: markup }).waitFor()
        })
        const { elements, hasRun, images } = yield* steps(() => page.evaluate(foreign))
        assert.deepStrictEqual([hasRun, elements, faults], [false, 0, []])
        for (const src of images) assert.strictEqual(src, "data:image/png;")
      }))

    it.live("ejects a server by the keyboard alone, calls a tool, and readmits the server", () =>
      Effect.gen(function*() {
        const { ledger, page } = yield* open()
        yield* steps(async () => {
          await tabTo(page, "Eject marked")
          await page.keyboard.press("Enter")
          await page.getByRole("dialog").waitFor()
          await page.keyboard.press("Escape")
          await page.getByRole("dialog").waitFor({ state: "detached" })
          await tabTo(page, "Eject marked")
          await page.keyboard.press("Space")
          await tabTo(page, "Eject")
          await page.keyboard.press("Enter")
          await server(page).getByText("⏏ ejected").waitFor()
          await page.locator("#announcer").getByText("marked is ejected").waitFor({ state: "attached" })
          await tabTo(page, "Readmit marked")
          await page.keyboard.press("Enter")
          await server(page).getByText("✓ healthy").waitFor()
          await tabTo(page, "Tool")
          await page.keyboard.type("plain")
          await tabTo(page, "Call")
          assert.isAtLeast(await page.evaluate(outline), 2)
          await page.keyboard.press("Enter")
          await page.getByText("plain ran").waitFor()
        })
        assert.deepStrictEqual(ledger("call"), ["plain"])
      }))

    it.live("keeps the focus and open details while new figures arrive", () =>
      Effect.gen(function*() {
        const { page } = yield* open()
        yield* steps(async () => {
          await choose(page, "die")
          await call(page)
          const restarts = server(page).locator("[data-label=Restarts]")
          await server(page).getByText("stderr", { exact: true }).click()
          await server(page).getByRole("button", { name: "Eject marked" }).focus()
          await restarts.getByText("1").waitFor()
          assert.strictEqual(await page.evaluate(focused), "Eject marked")
          assert.isTrue(await server(page).getByText(`told to die ${markup}`).isVisible())
        })
      }))

    for (const colorScheme of ["light", "dark"] as const) {
      for (const width of colorScheme === "light" ? [400, 700, 1280] : [400, 1280]) {
        it.live(`has readable texts and room for all of them at ${width} pixels in the ${colorScheme} scheme`, () =>
          Effect.gen(function*() {
            const { page } = yield* open({ colorScheme, viewport: { width, height: 900 } })
            yield* steps(async () => {
              await choose(page, markup)
              await call(page)
              await choose(page, "die")
              await call(page)
              await server(page).getByText("stderr", { exact: true }).click()
              await page.locator("#calls tbody tr").nth(1).waitFor()
              assert.isFalse(await page.evaluate(overflows))
              assert.deepStrictEqual(await page.evaluate(faint), [])
              assert.deepStrictEqual(await violations(page), [])
            })
          }))
      }
    }
  }
)
