/**
 * Writes the tables of `docs/telemetry.md` from `packages/core/src/Telemetry.ts` (`pnpm telemetry`).
 */
import process from "node:process"
import { attributes, logs, metrics, spans, units } from "../packages/core/src/Telemetry.ts"
import { replace, table } from "./markdown.ts"

const code = (text: string): string => `\`${text}\``

const keysOf = <T extends object>(record: T): ReadonlyArray<keyof T> =>
  Object.keys(record) as unknown as ReadonlyArray<keyof T>

/** The tables by the names of their regions. */
export const telemetryTables: Readonly<Record<string, string>> = {
  spans: table(
    ["span", "kind", "below", "what it is"],
    Object.values(spans).map(({ below, description, kind, name }) => [code(name), kind, below, description])
  ),
  attributes: table(
    ["attribute", "value"],
    Object.values(attributes).map(({ description, name }) => [code(name), description])
  ),
  metrics: table(
    ["metric", "kind", "unit", "meaning"],
    keysOf(metrics).map((key) => {
      const { description = "", id, type } = metrics[key]
      return [code(id), type.toLowerCase(), code(units[key]), description]
    })
  ),
  logs: table(["message", "when"], Object.values(logs).map(({ message, when }) => [code(message), when]))
}

if (process.argv[1] === import.meta.filename) {
  for (const [name, content] of Object.entries(telemetryTables)) replace("docs/telemetry.md", name, content)
}
