/**
 * Opens a page in the user's browser, without a shell: the URL is one argument, whatever it contains.
 */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as ChildProcess from "node:child_process"
import * as process from "node:process"

/** A program and its arguments. */
export type Command = readonly [program: string, ...args: ReadonlyArray<string>]

const place = "%s"

const commandOf = (words: ReadonlyArray<string>, url: string): ReadonlyArray<Command> => {
  const [program, ...args] = words
  if (program === undefined) return []
  const filled = args.map((word) => word.replaceAll(place, () => url))
  return [[program, ...filled, ...(args.some((word) => word.includes(place)) ? [] : [url])]]
}

/**
 * Lists the commands to try, in order. `BROWSER` is a list of commands, separated by colons, in which `%s` is the URL; on Windows, where
 * paths contain colons and spaces, it is one program.
 */
export const commandsOf = (options: {
  readonly platform: string
  readonly browser: string | undefined
  readonly systemRoot: string | undefined
  readonly url: string
}): ReadonlyArray<Command> => {
  const { browser, platform, systemRoot, url } = options
  if (browser !== undefined && browser.trim() !== "") {
    return platform === "win32"
      ? [[browser, url]]
      : browser.split(":").flatMap((one) => commandOf(one.split(/\s+/).filter((word) => word !== ""), url))
  }
  if (platform === "darwin") return [["open", url]]
  // By its path: Windows searches the working directory first.
  if (platform === "win32") {
    return [[`${systemRoot ?? "C:\\Windows"}\\System32\\rundll32.exe`, "url.dll,FileProtocolHandler", url]]
  }
  return [["xdg-open", url]]
}

/** Runs a command until it ends, and returns whether it did its work. It is left running if the fiber is interrupted. */
const run = ([program, ...args]: Command): Effect.Effect<boolean> =>
  Effect.callback((resume) => {
    const end = (isDone: boolean) => resume(Effect.succeed(isDone))
    try {
      const child = ChildProcess.spawn(program, args, { stdio: "ignore", detached: true, windowsHide: true })
      child.once("error", () => end(false))
      child.once("exit", (code) => end(code === 0))
      child.unref()
    } catch {
      end(false)
    }
  })

const variable = (name: string) => Config.withDefault(Config.String(name), undefined)

/** Opens a page, and returns whether a browser took it. A browser that runs in the foreground takes as long as it is open. */
export const open = Effect.fnUntraced(function*(url: URL) {
  const environment = yield* Effect.orElseSucceed(
    Config.all({ browser: variable("BROWSER"), systemRoot: variable("SystemRoot") }),
    () => ({ browser: undefined, systemRoot: undefined })
  )
  for (const command of commandsOf({ platform: process.platform, ...environment, url: url.href })) {
    if (yield* run(command)) return true
  }
  return false
})
