/**
 * An agent over three servers, one of which dies during a call. The model is told that the tool may have run, and the agent goes on.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Mcp, Sessions, Toolkit } from "@mcp-sessions/core"
import { Transports } from "@mcp-sessions/transports"
import { Console, Effect, Layer } from "effect"
import { Chat } from "effect/ai"
import { join } from "node:path"
import * as ScriptedModel from "./scriptedModel.ts"

const directory = import.meta.dirname

const servers = Sessions.layer({
  servers: {
    everything: { command: "mcp-server-everything", args: ["stdio"] },
    files: { command: "mcp-server-filesystem", args: [directory] },
    cart: { command: process.execPath, args: [join(directory, "servers/cart.ts")] }
  }
}).pipe(Layer.provide(Transports.layer))

const model = ScriptedModel.layer([
  [{ name: "files_read_text_file", params: { path: join(directory, "shopping-list.txt") } }],
  [{ name: "cart_add", params: { item: "tea" } }],
  [{ name: "cart_checkout", params: {} }],
  [{ name: "cart_list", params: {} }, { name: "everything_get-sum", params: { a: 2, b: 3 } }]
], "I could not check out: the cart is empty now. Please look whether you were charged.")

export const program = Effect.gen(function*() {
  const toolkit = yield* Toolkit.make({ exclude: ["files/write_*", "files/move_*", "files/edit_*"] })
  const chat = yield* Chat.fromPrompt("Buy what shopping-list.txt lists.")
  const seen: Array<string> = []
  for (;;) {
    const { text, toolCalls, toolResults } = yield* chat.generateText({ prompt: [], toolkit })
    for (const call of toolResults) {
      seen.push(`${call.name}: ${call.isFailure ? JSON.stringify(call.encodedResult) : Mcp.text(call.result)}`)
    }
    if (toolCalls.length === 0) return { text, seen }
  }
}).pipe(Effect.scoped, Effect.provide(Layer.merge(servers, model)))

if (import.meta.main) NodeRuntime.runMain(Effect.flatMap(program, Console.log))
