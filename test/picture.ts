/**
 * Takes the picture of the page in the README, of a gateway over real servers (`pnpm picture`). Needs Chromium or Chrome.
 */
import { Effect } from "effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { launch, tab } from "./fixtures/browser.ts"
import { connectV1, startGateway } from "./fixtures/gateway.ts"
import { pageUrls } from "./fixtures/page.ts"
import { fixture, makeLedger } from "./fixtures/peer.ts"

const root = join(import.meta.dirname, "..")
const program = (name: string): string => join(root, "test/node_modules/.bin", name)

/** How many pings the sparklines show. */
const pings = 6

const picture = Effect.gen(function*() {
  const { file } = yield* makeLedger
  const { latest, onUrl } = pageUrls()
  const { url } = yield* startGateway({
    everything: { command: program("mcp-server-everything"), args: ["stdio"] },
    files: { command: program("mcp-server-filesystem"), args: [join(root, "docs")] },
    orders: { command: process.execPath, args: [fixture("stdioServer.ts"), "v1", file] },
    search: { url: "http://127.0.0.1:9/mcp" }
  }, { ui: true, onPageUrl: onUrl, startTimeout: "10 seconds" })
  const { client } = yield* connectV1(url)
  const browser = yield* Effect.acquireRelease(
    Effect.promise(launch),
    (browser) => Effect.promise(() => browser.close())
  )
  const page = yield* tab(browser, { viewport: { width: 1220, height: 800 } })
  const link = yield* latest(1)
  const image = yield* Effect.promise(async () => {
    await page.goto(link)
    await page.locator("#servers tbody tr").filter({ hasText: "everything" }).getByText("healthy").waitFor()
    const call = (name: string, args: Record<string, unknown>) =>
      client.callTool({ name, arguments: args }).then(() => {}, () => {})
    await call("files_list_directory", { path: join(root, "docs") })
    await call("everything_get-sum", { a: 2, b: 3 })
    await call("search_query", {})
    await call("everything_echo", { message: "hello" })
    await call("orders_die", { id: "1" })
    await page.getByLabel("Tool", { exact: true }).selectOption("everything_get-sum")
    await page.getByLabel("a *", { exact: true }).fill("20")
    await page.getByLabel("b *", { exact: true }).fill("22")
    await page.getByRole("button", { name: "Call", exact: true }).click()
    await page.locator("#try strong").waitFor()
    const sparkline = page.locator("#servers tbody tr").filter({ hasText: "files" }).locator("rect")
    await sparkline.nth(pings - 1).waitFor({ timeout: 60_000 })
    await page.evaluate("scrollTo(0, 0)")
    return page.screenshot()
  })
  writeFileSync(join(root, "docs/page.png"), image)
  console.log(`docs/page.png: ${Math.round(image.length / 1000)} kB`)
})

await Effect.runPromise(Effect.scoped(picture))
