/**
 * Warnings of patterns that match no tool: a mistyped name in `exclude` would offer the tool that must not be offered.
 */
import * as Effect from "effect/Effect"
import { guardTelemetry } from "../telemetry/guard.ts"
import * as toolPattern from "./toolPattern.ts"

/**
 * The tools that a server lists, those that are not offered too.
 *
 * @category models
 * @since 0.1.0
 */
export interface ListedTools {
  /** The name of the server. */
  readonly server: string
  /** The names of its tools. Empty: it lists none, or has not listed them yet. */
  readonly tools: ReadonlyArray<string>
}

/** Whether a pattern matches a tool. A server without tools may list some later, so a pattern of it counts as matched. */
const isMatched = (text: string, listed: ReadonlyArray<ListedTools>): boolean => {
  const pattern = toolPattern.parse(text)
  return listed.some(({ server, tools }) =>
    toolPattern.isMatch({ pattern: pattern.server, text: server }) &&
    (tools.length === 0 || tools.some((tool) => toolPattern.isMatch({ pattern: pattern.tool, text: tool })))
  )
}

/** Logs a warning for each pattern that matches no tool. */
export const warnOfUnmatched = ({ listed, ...patterns }: {
  readonly listed: ReadonlyArray<ListedTools>
  readonly include?: ReadonlyArray<string> | undefined
  readonly exclude?: ReadonlyArray<string> | undefined
}): Effect.Effect<void> => {
  const warnings = (["include", "exclude"] as const).flatMap((key) =>
    (patterns[key] ?? []).filter((pattern) => !isMatched(pattern, listed)).map((pattern) =>
      `no tool matches the pattern "${pattern}" of ${key}`
    )
  )
  return Effect.forEach(warnings, (warning) => guardTelemetry(Effect.logWarning(warning)), { discard: true })
}
