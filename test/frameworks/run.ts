/**
 * Runs agents of other frameworks over three servers, of which one dies in a call. Each agent must finish, no call may run twice, and the model
 * must be told that the lost call may have run.
 */
import { SessionError } from "@mcp-sessions/core"
import { Deferred, Effect } from "effect"
import assert from "node:assert/strict"
import { openTools, toolServer } from "../fixtures/toolServer.ts"
import type { Framework, Plan } from "./Framework.ts"

const plan: Plan = [["files_read"], ["shop_charge"], ["shop_charge", "search_find"], ["files_read"]]

const finishesWithoutAServer = async ({ run }: Framework) => {
  const servers = { files: toolServer("read"), shop: toolServer("charge"), search: toolServer("find") }
  const { script, server } = servers.shop
  const started = Deferred.makeUnsafe<void>()
  const crashed = Deferred.makeUnsafe<never, SessionError.Reason>()
  server.answer = () => Effect.andThen(Deferred.succeed(started, undefined), Deferred.await(crashed))
  await using sessions = openTools(servers)
  const tools = await sessions.tools()
  const running = run({ tools, plan })
  await Effect.runPromise(Deferred.await(started))
  server.connect = Effect.fail(new SessionError.SpawnFailed({ command: "shop", code: "ENOENT" }))
  const reason = new SessionError.TransportClosed({ delivery: "Unknown" })
  await Effect.runPromise(Effect.andThen(script.lose(reason), Deferred.fail(crashed, reason)))
  const { said, seen } = await running
  assert.equal(said, "done")
  assert.deepEqual([servers.files.ran, servers.shop.ran, servers.search.ran], [["read", "read"], ["charge"], ["find"]])
  assert.equal(seen.length, 5)
  assert.match(seen[0] ?? "", /read ran/)
  assert.match(seen[1] ?? "", /the tool may have run\. Do not call it again/)
  assert.match(seen.join(), /The tool did not run/)
  assert.match(seen.join(), /find ran/)
}

const asksForApproval = async ({ waitsForApproval }: Framework) => {
  const servers = { shop: toolServer("charge") }
  await using sessions = openTools(servers)
  const tools = await sessions.tools({ needsApproval: ({ tool }) => tool === "charge" })
  assert.equal(await waitsForApproval({ tools, tool: "shop_charge" }), true)
  assert.deepEqual(servers.shop.ran, [])
}

for (const name of ["aiSdk", "langChain", "openAiAgents"]) {
  const { framework } = await import(new URL(`others/${name}.ts`, import.meta.url).href) as {
    readonly framework: Framework
  }
  await finishesWithoutAServer(framework)
  await asksForApproval(framework)
  console.log(`${name}: finishes without a server, no call runs twice, and approvals are asked for`)
}

const { main } = await import(new URL("others/fromLangChain.ts", import.meta.url).href) as {
  readonly main: () => Promise<unknown>
}
assert.match(JSON.stringify(await main()), /The sum of 2 and 3 is 5\./)
console.log("fromLangChain: calls a tool, though another server does not start")
