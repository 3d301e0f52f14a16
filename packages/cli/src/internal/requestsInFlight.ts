/**
 * The requests that this process waits for, so that a signal can say what it interrupts.
 */
import * as Effect from "effect/Effect"
import type { Shown } from "../Shown.ts"

const requests = new Set<{ readonly label: Shown }>()

/** Counts an effect among the requests in flight while it runs. The label completes "while …". */
export const inFlight = (label: Shown) => <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.suspend(() => {
    const request = { label }
    requests.add(request)
    return Effect.ensuring(effect, Effect.sync(() => requests.delete(request)))
  })

/** The labels of the requests in flight, oldest first. */
export const labels = (): ReadonlyArray<Shown> => Array.from(requests, ({ label }) => label)
