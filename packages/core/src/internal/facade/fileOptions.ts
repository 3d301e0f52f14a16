/**
 * Options of sessions of configuration files, in plain values.
 */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { BadOptions, checkBy, type Rules } from "../config/callOptions.ts"
import { loadRules } from "../config/optionRules.ts"
import type { InputRequest, UntrustedContent } from "../configFile/model.ts"
import { type Options, policiesOf, rules } from "./plainOptions.ts"

/**
 * Options of sessions of configuration files: those of {@link Options} without definitions, and where the definitions are.
 *
 * @category models
 * @since 0.1.0
 */
export interface FileOptions extends Omit<Options, "servers"> {
  /**
   * The files to read, relative to the working directory. Default: those that the variable `MCP_SESSIONS_CONFIG` lists, else the files of the
   * project and of the user.
   */
  readonly files?: ReadonlyArray<string> | undefined
  /** Gives the values of inputs of servers that are not disabled; `undefined`: the variable of the request applies. */
  readonly input?: ((request: InputRequest) => Promise<string | undefined>) | undefined
  /** Decides whether project files may start programs. Default: those that the user has trusted may. */
  readonly trust?: "all" | ((file: UntrustedContent) => Promise<boolean>) | undefined
}

/** A function of the program that rejects is a defect: it has no error of its own. */
const asked = <A, B>(ask: (request: A) => Promise<B>) => (request: A): Effect.Effect<B> =>
  Effect.promise(() => Promise.resolve().then(() => ask(request)))

const fileRules: Rules = new Map([...rules, ...loadRules])

/** Makes the options of a `Sessions` layer for files, or returns every problem of those given but the ones that the layer finds. */
export const fileLayerOptions = (options: FileOptions) => {
  const checked = checkBy(fileRules, options)
  if (checked instanceof BadOptions) return checked
  const { files, input, trust } = checked
  return {
    ...policiesOf(checked),
    files,
    input: input === undefined
      ? undefined
      : (request: InputRequest) =>
        Effect.map(asked(input)(request), (value) => value === undefined ? undefined : Redacted.make(value)),
    trust: typeof trust === "function" ? asked(trust) : trust
  }
}
