/**
 * Tries all faults on all clients and writes the tables of the README and `docs/faults.md` (`pnpm faults`). Read what has changed
 * before you commit it.
 */
import { Effect } from "effect"
import { clients, forkClient } from "./allClients.ts"
import { type Fault, faults, makePlace } from "./Fault.ts"
import type { Cell } from "./observe.ts"
import { write } from "./page.ts"

/** Some clients start servers after they were closed. In milliseconds. */
const settle = 3000

/** Longer than all time limits of a fault together, in milliseconds. */
const processTimeout = 60_000

/** Tries a fault on a client in a process of its own, which is killed if it hangs. */
const attempt = Effect.fnUntraced(
  function*({ client, fault: { name } }: { readonly client: string; readonly fault: Fault }) {
    const { file } = yield* makePlace(settle)
    const cells = yield* Effect.promise(async () => {
      const { child, next } = forkClient(new URL("cell.ts", import.meta.url), [name, client, file, String(settle)])
      const timer = setTimeout(() => child.kill("SIGKILL"), processTimeout)
      const cells = await next() as ReadonlyArray<Cell>
      clearTimeout(timer)
      return cells
    })
    const shown = cells.map(({ measured, verdict }) => [verdict, measured].filter(Boolean).join(" ")).join("; ")
    console.log(`${name}, ${client}: ${shown}`)
    return cells
  },
  Effect.scoped
)

const pairs = faults.flatMap((fault) => Object.keys(clients).map((client) => ({ client, fault })))
// Most of the time is spent waiting.
write(await Effect.runPromise(Effect.forEach(pairs, attempt, { concurrency: 3 })))
