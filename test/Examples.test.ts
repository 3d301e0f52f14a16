/**
 * Runs the programs of `examples`, on real servers.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { globSync, readFileSync } from "node:fs"
import { join } from "node:path"
import * as agent from "../examples/agent.ts"
import * as clientCredentials from "../examples/client-credentials.ts"
import * as fallback from "../examples/fallback.ts"
import * as handlers from "../examples/handlers.ts"
import * as pool from "../examples/pool.ts"
import * as promises from "../examples/promises.ts"
import * as singleServer from "../examples/single-server.ts"
import * as telemetry from "../examples/telemetry.ts"
import * as users from "../examples/users.ts"
import "../examples/weather.test.ts"

const directory = join(import.meta.dirname, "../examples")

describe.concurrent("the examples", () => {
  it.live("single-server lists tools and calls one", () =>
    Effect.gen(function*() {
      const { answer, tools } = yield* singleServer.program
      assert.include(tools, "get-sum")
      assert.strictEqual(answer, "The sum of 2 and 3 is 5.")
    }))

  it.live("telemetry shows the spans of two calls below the program, and the connect beside it", () =>
    Effect.gen(function*() {
      const { requests, tree } = yield* telemetry.program
      assert.strictEqual(requests, 2)
      assert.deepStrictEqual(tree, [
        "agent",
        "  Sessions.get",
        "  tools/call get-sum",
        "    attempt",
        "  tools/call get-sum (tool_error)",
        "    attempt (tool_error)",
        "connect",
        "  attempt"
      ])
    }))

  it.live("fallback calls the second server where the first does not start", () =>
    Effect.gen(function*() {
      const { primary, result } = yield* fallback.program
      assert.deepStrictEqual(result, ["secondary", "The sum of 2 and 3 is 5."])
      assert.match(primary ?? "", /^primary: cannot start "not-installed-here"/)
    }))

  it.live("users gives each user a connection with the credentials of that user", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* users.program, {
        tokens: ["token-of-ada", "token-of-bob"],
        owners: ["ada", "bob"]
      })
    }))

  it.live("agent goes on after a server has died, and tells the model that the tool may have run", () =>
    Effect.gen(function*() {
      const { seen, text } = yield* agent.program
      assert.match(text, /^I could not check out/)
      assert.strictEqual(seen.length, 5)
      assert.deepStrictEqual(seen.filter((line) => line.startsWith("cart_checkout")).length, 1)
      assert.match(seen.join("\n"), /cart_checkout: .*may have run.*"delivery":"Unknown"/)
      assert.include(seen, "cart_list: empty")
    }))

  it.live("handlers answers what a server asks of the model and of the user", () =>
    Effect.gen(function*() {
      const { asked, sampled } = yield* handlers.program
      assert.include(sampled, "an answer to 1 message")
      assert.include(asked, "- Name: Ada")
    }))

  it.live("client-credentials signs a service in without asking anybody", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* clientCredentials.program, { report: "all is well", state: "SignedIn" })
    }))

  it.live("pool lends each session to one caller at a time", () =>
    Effect.gen(function*() {
      const carts = ["tea, sugar", "milk", "bread, salt", "rice"]
      assert.deepStrictEqual(yield* pool.program, { carts, isWithinLimit: true })
    }))

  it("promises shows progress, the result, and a typed failure", async () => {
    assert.deepStrictEqual(await promises.main(), [
      "true",
      "1 of 2",
      "2 of 2",
      "Long running operation completed. Duration: 0.2 seconds, Steps: 2.",
      "SpawnFailed, NotSent"
    ])
  })

  it("are all listed in examples/README.md", () => {
    const page = readFileSync(join(directory, "README.md"), "utf8")
    const files = globSync(["*.ts", "servers/*.ts"], { cwd: directory })
    for (const file of files) assert.include(page, `](${file})`, file)
  })
})
