/**
 * Ejects servers on behalf of a program, and readmits them.
 */
import * as Effect from "effect/Effect"
import { logChange } from "../telemetry/stateLog.ts"
import type { Member } from "./member.ts"

/** Refuses all use of a server from now on, and drops its connections, which close once their requests have ended. */
export const eject = ({ breaker, context, cores, server, state }: Member): Effect.Effect<void> =>
  Effect.suspend(() => {
    if (!breaker.eject()) return Effect.void
    state.telemetry.count("ejections")
    logChange({ context, server, change: "withdrawn" })
    state.changed()
    return Effect.forEach([...cores], ({ managed }) => managed.restart, { discard: true })
  })

/** Lets a server be used again. */
export const readmit = ({ breaker, context, cores, server, state }: Member): Effect.Effect<void> =>
  Effect.suspend(() => {
    if (!breaker.readmit()) return Effect.void
    state.telemetry.count("readmissions")
    logChange({ context, server, change: "restored" })
    state.changed()
    // Refusals of the meantime say nothing about the server.
    return Effect.forEach([...cores], ({ managed }) => managed.restart, { discard: true })
  })
