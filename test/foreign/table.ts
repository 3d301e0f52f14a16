/**
 * Starts all servers, uses and restarts them, and writes the table of `docs/servers.md` (`pnpm foreign`). Read what has changed before
 * you commit it.
 */
import { Effect } from "effect"
import { rowsOf } from "./negotiate.ts"
import { write } from "./page.ts"
import { servers } from "./servers.ts"

const rows = Effect.forEach(servers, (foreign) =>
  Effect.gen(function*() {
    const rows = yield* rowsOf(foreign)
    console.log(`${foreign.name}: ${rows.length} rows${foreign.restarted === undefined ? "" : ", restarted"}`)
    return rows
  }), { concurrency: 2 })

write((await Effect.runPromise(rows)).flat())
