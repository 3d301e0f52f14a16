/**
 * The owner that an operation is run for, out of options that are checked.
 */
import * as Effect from "effect/Effect"
import type { ConfigError } from "../../ConfigError.ts"
import { CurrentOwner } from "../../Owner.ts"
import { BadOptions, checkCall, type Rules } from "./callOptions.ts"
import { ownerRules } from "./optionRules.ts"

interface OwnerOptions {
  readonly owner?: string | undefined
}

/** The owner of sound options. */
export const ownerOf = (options: OwnerOptions | undefined): Effect.Effect<string> =>
  options?.owner === undefined ? CurrentOwner : Effect.succeed(options.owner)

/** Checks options, and gives their owner. `server` is what a problem names. */
export const checkedOwner = ({ options, rules = ownerRules, server }: {
  readonly options: OwnerOptions | undefined
  readonly server: string | undefined
  readonly rules?: Rules
}): Effect.Effect<string, ConfigError> => {
  const checked = checkCall(rules, options, server)
  return checked instanceof BadOptions ? Effect.fail(checked.error) : ownerOf(checked)
}
