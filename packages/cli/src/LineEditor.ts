/**
 * Edits lines at a terminal: with a history and completion.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { openTerminalEditor } from "./internal/terminalEditor.ts"
import type { InputStream } from "./Invocation.ts"

/**
 * A line as the user ended it: with Enter, with Ctrl+C, or with Ctrl+D.
 *
 * @category models
 * @since 0.1.0
 */
export type Line =
  | { readonly _tag: "Entered"; readonly text: string }
  | { readonly _tag: "Cancelled" }
  | { readonly _tag: "Ended" }

/**
 * An editor that has the terminal.
 *
 * @category models
 * @since 0.1.0
 */
export interface LineEditor {
  /** Reads a line of a command. */
  readonly read: (prompt: string) => Effect.Effect<Line>
  /** Adds a command to the history. */
  readonly remember: (command: string) => Effect.Effect<void>
  /** Succeeds at the next Ctrl+C while no command is read. */
  readonly interrupted: Effect.Effect<void>
  /** Reads a line for a running command. It does not become a part of the history. */
  readonly readLine: InputStream["readLine"]
}

/**
 * Options of an editor. `complete` receives the line up to the cursor, and gives the lines that may follow from it.
 *
 * @category models
 * @since 0.1.0
 */
export interface EditorOptions {
  /** The commands of earlier times, the latest first. */
  readonly history: ReadonlyArray<string>
  readonly complete: (line: string) => Effect.Effect<{
    readonly candidates: ReadonlyArray<string>
    /** The part of the line that the candidates stand in place of. */
    readonly partial: string
  }>
}

/**
 * Reference to the function that opens an editor. Default: on the terminal of this process.
 *
 * @category references
 * @since 0.1.0
 */
export const OpenEditor: Context.Reference<
  (options: EditorOptions) => Effect.Effect<LineEditor, never, Scope.Scope>
> = Context.Reference("@mcp-sessions/cli/LineEditor/OpenEditor", { defaultValue: () => openTerminalEditor })
