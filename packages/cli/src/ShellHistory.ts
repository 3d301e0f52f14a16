/**
 * The history of the shell: the commands of earlier times, without those that may hold a secret.
 *
 * **Example** (Telling commands with secrets)
 *
 * ```ts import.meta.vitest
 * import { mayHoldSecret } from "@mcp-sessions/cli/ShellHistory"
 *
 * mayHoldSecret("call mail/login user=me password=hunter2") // => true
 * mayHoldSecret("call files/read path=tokens.md") // => false
 * ```
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Path from "effect/Path"
import { readRegularFile } from "./internal/regularFile.ts"
import { makePrivateDirectory, replaceFile } from "./internal/replaceFile.ts"
import { Invocation } from "./Invocation.ts"

const secretName = String
  .raw`[\w.-]*(?:pass|pwd|secret|token|api[-_]?key|private[-_]?key|credential|auth|cookie|session[-_]?id|otp|pin)[\w.-]*`

const secret = new RegExp(`${secretName}\\s*["']?\\s*:?[=:]|--header\\b|\\bbearer\\s|://[^\\s/]*@`, "i")

/**
 * Whether a command may hold a secret: the value of an argument with the name of one, a header, or a URL with a password.
 *
 * @category guards
 * @since 0.1.0
 */
export const mayHoldSecret = (command: string): boolean => secret.test(command)

/** How many commands are kept. */
const limit = 1000

const fileOf = Effect.gen(function*() {
  const { environment } = yield* Invocation
  const path = yield* Path.Path
  const home = environment.HOME ?? environment.USERPROFILE ?? ""
  const state = environment.XDG_STATE_HOME
  const base = state !== undefined && path.isAbsolute(state) ? state : path.join(home, ".local", "state")
  return path.join(base, "mcp-sessions", "history")
})

/**
 * Reads the history, the latest command first. A history that cannot be read is empty.
 *
 * @category decoding
 * @since 0.1.0
 */
export const load: Effect.Effect<ReadonlyArray<string>, never, Invocation | Path.Path> = Effect.flatMap(
  fileOf,
  (path) =>
    readRegularFile({ directory: "/", path, mebibytes: 1 }).pipe(
      Effect.map((text) => text.split("\n").filter((line) => line !== "").slice(-limit).toReversed()),
      Effect.orElseSucceed(() => [])
    )
)

/**
 * Writes the history, the latest command first, to a file that only its user can read. Succeeds with the reason if that fails.
 *
 * @category encoding
 * @since 0.1.0
 */
export const save = (
  commands: ReadonlyArray<string>
): Effect.Effect<string | undefined, never, Invocation | Path.Path> =>
  Effect.gen(function*() {
    const file = yield* fileOf
    const path = yield* Path.Path
    const text = commands.slice(0, limit).toReversed().map((command) => `${command.replaceAll(/\s*\n\s*/g, " ")}\n`)
      .join("")
    const directory = path.dirname(file)
    return yield* makePrivateDirectory(directory).pipe(
      Effect.andThen(replaceFile({ directory, path: file, text, mode: 0o600 })),
      Effect.as(undefined),
      Effect.catch((refusal) => Effect.succeed(refusal))
    )
  })
