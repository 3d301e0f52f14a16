/**
 * `servers`: lists the configured servers and their sources, without connecting.
 */
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import type { ConfiguredServer } from "../ConfigFiles.ts"
import { Output } from "../Output.ts"
import * as Shown from "../Shown.ts"
import { columns } from "../Table.ts"
import { root } from "./root.ts"
import { loadServers, noteNoServers } from "./selection.ts"

/** Returns the command or URL of a definition as written: with variable names instead of values, which may be secret. */
const targetOf = ({ config, written }: ConfiguredServer): string => {
  if (config.transport !== "stdio") {
    const url = ["url", "httpUrl", "serverUrl", "baseUrl"].map((key) => written[key]).find((value) =>
      value !== undefined
    )
    return String(url ?? "").split(/[?#]/, 1)[0] ?? ""
  }
  return [written.command, written.args].flat().filter((part) => typeof part === "string").join(" ")
}

export const servers = Command.make("servers", {}, () =>
  Effect.gen(function*() {
    const output = yield* Output
    const { json } = yield* root
    const all = yield* loadServers
    const rows = all.map((server) => ({
      name: server.name,
      transport: server.config.transport,
      target: targetOf(server),
      source: server.source,
      disabled: server.config.disabled
    }))
    if (json) return yield* output.printJson({ schema: "mcp-sessions/1", servers: rows })
    if (rows.length === 0) return yield* noteNoServers(all)
    const cells = rows.map(({ disabled, name, source, target, transport }) => [
      output.style(disabled ? "dim" : "bold", name),
      Shown.name(transport),
      Shown.name(target),
      output.style("dim", disabled ? `${source} (disabled)` : source)
    ])
    yield* Effect.forEach(columns(cells), output.print, { discard: true })
  })).pipe(Command.withDescription("List the configured servers and their source files, without connecting"))
