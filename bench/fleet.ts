/**
 * Measures a fleet of three gateway nodes on the PostgreSQL of the machine: what a call costs, and what faults cost under load; and simulates
 * the placement of a million sessions. Prints tables; `--write` also writes them to `docs/fleet.md` (`pnpm fleet`). Ends with 1 if a tool ran
 * twice, a read was lost, or a limit was missed.
 */
import * as Effect from "effect/Effect"
import * as Postgres from "../test/fixtures/postgres.ts"
import { replace } from "../tools/markdown.ts"
import { costTables } from "./fleet/costs.ts"
import { measureFaults } from "./fleet/faults.ts"
import { placementTable } from "./fleet/placement.ts"
import { client } from "./gateway/roles.ts"

const [, , role = "", ...words] = process.argv

const measure = Effect.gen(function*() {
  const placement = yield* placementTable
  const costs = yield* costTables
  console.log(`${placement}\n\n${costs}\n`)
  const { text, violations } = yield* measureFaults
  console.log(text)
  if (role === "--write") replace("docs/fleet.md", "figures", [costs, text, placement].join("\n\n"))
  for (const violation of violations) console.error(`VIOLATED: ${violation}`)
  if (violations.length > 0) process.exitCode = 1
})

if (role === "client") await client(words[0] ?? "", words[1], words[2])
else if (Postgres.isRunning) await Effect.runPromise(measure)
else throw new Error(`no fleet can be started${Postgres.reason}`)
