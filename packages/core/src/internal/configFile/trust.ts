/**
 * Decides whether an entry of a file may start programs and get values of variables.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { Host } from "../../Host.ts"
import type { File } from "./entry.ts"
import type { AskTrust, Scope } from "./model.ts"

interface Decision {
  readonly isTrusted: boolean
  /** Why it is unknown whether the file is trusted. */
  readonly fact: string | undefined
}

/** Decides for the entries of a file in a scope. Asks once for each file. */
export type Trust = (file: File, scope: Scope) => Effect.Effect<Decision, never, Host>

const trusted: Decision = { isTrusted: true, fact: undefined }

const decide = Effect.fnUntraced(function*(file: File, ask: AskTrust | undefined) {
  const { isTrusted } = yield* Host
  const { client, path, source, text } = file
  const recorded = yield* Effect.result(isTrusted({ file: path, text }))
  if (Result.isSuccess(recorded) && recorded.success) return trusted
  const isAllowed = ask !== undefined && (yield* ask({ file: path, text, source, client }))
  return isAllowed
    ? trusted
    : { isTrusted: false, fact: Result.isFailure(recorded) ? recorded.failure.message : undefined }
})

/** Makes the decisions. Only files of the project need one: the user has written or named all others. */
export const trustOnce = (option: "all" | AskTrust | undefined): Trust => {
  const known = new Map<string, Decision>()
  return Effect.fnUntraced(function*(file: File, scope: Scope) {
    if (scope !== "project" || option === "all") return trusted
    const decision = known.get(file.path) ?? (yield* decide(file, option))
    known.set(file.path, decision)
    return decision
  })
}
