/**
 * The description of one program whose configuration files are read.
 */
import type { Host } from "../../Host.ts"
import type { Rule } from "./keyRules.ts"
import type { ReferenceForm } from "./template.ts"

/** The programs whose configuration files are read. `mcp-sessions` is this one. */
export const clientNames = [
  "mcp-sessions",
  "claude-code",
  "cursor",
  "vscode",
  "codex",
  "opencode",
  "gemini",
  "copilot-cli",
  "zed",
  "claude-desktop",
  "windsurf",
  "cline"
] as const

/**
 * A program whose configuration files are read.
 *
 * @category models
 * @since 0.1.0
 */
export type ClientName = (typeof clientNames)[number]

export interface Client {
  /** The name for people. */
  readonly title: string
  /** Files of a project, relative to its folder. */
  readonly projectFiles: ReadonlyArray<string>
  /** Files of the user, as absolute paths. */
  readonly userFiles: (host: Host["Service"]) => ReadonlyArray<string>
  /** The keys that lead to the definitions by name. The first that is there is used. */
  readonly roots: ReadonlyArray<ReadonlyArray<string>>
  /** Whether the files hold other settings too, so that definitions may be missing. */
  readonly isSettings: boolean
  /** How keys are translated that do not have our name and meaning. */
  readonly keys: Readonly<Record<string, Rule>>
  /** The references that its texts may hold. */
  readonly references: ReferenceForm
  /** Whether an entry is completed by the program itself, so that it defines no server for others. */
  readonly isProvided?: ((entry: Readonly<Record<string, unknown>>) => boolean) | undefined
}
