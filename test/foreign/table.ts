/**
 * Starts all servers, meets them, and writes down what came of it: `pnpm foreign`, after a package has been added or has
 * a new version. What has changed in `docs/servers.md` is for a person to look at before it is committed.
 */
import { Effect } from "effect"
import { negotiate, waysOf } from "./negotiate.ts"
import { write } from "./page.ts"
import { servers } from "./servers.ts"

const rows = Effect.forEach(servers, (foreign) =>
  Effect.gen(function*() {
    const running = yield* foreign.start
    return yield* Effect.forEach(waysOf(running), (way) =>
      Effect.map(negotiate({ foreign, running, ...way }), ({ row }) => row))
  }).pipe(Effect.scoped), { concurrency: 2 })

write((await Effect.runPromise(rows)).flat())
