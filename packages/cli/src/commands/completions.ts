/**
 * `completions`: prints the script that has a shell complete the words of this program.
 */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import { completionScript, shells } from "../CompletionScript.ts"
import { Output } from "../Output.ts"

export const completions = Command.make("completions", {
  shell: Argument.Literals("shell", shells).pipe(Argument.withDescription("The shell that reads the script"))
}, ({ shell }) => Effect.flatMap(Output, ({ printContent }) => printContent(completionScript(shell)))).pipe(
  Command.withDescription("Print a script with which a shell completes commands, flags, servers and tools"),
  Command.withExamples([
    { command: "eval \"$(mcp-sessions completions bash)\"", description: "In ~/.bashrc" },
    { command: "mcp-sessions completions fish > ~/.config/fish/completions/mcp-sessions.fish", description: "For fish" }
  ])
)
