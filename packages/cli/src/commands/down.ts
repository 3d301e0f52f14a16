/**
 * `down`: ends `up`.
 */
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import { UsageError } from "../Failure.ts"
import { Output } from "../Output.ts"
import { line } from "../Shown.ts"
import { requireHeld } from "./held.ts"
import { root } from "./root.ts"

export const down = Command.make("down", {}, () =>
  Effect.gen(function*() {
    const { note, printJson } = yield* Output
    const { json } = yield* root
    const { holder } = yield* requireHeld()
    if (holder.command === "with") {
      return yield* new UsageError({ problems: ["the sessions of `with` end with its command"] })
    }
    yield* holder.stop
    if (json) yield* printJson({ schema: "mcp-sessions/1", released: holder.servers })
    else yield* note(line`released ${holder.servers.join(", ")}`)
  })).pipe(Command.withDescription("End `up`, and wait until its sessions are closed"))
