/**
 * Runs the command line: within this process, with words, streams and an exit status of its own; or as its users do, as a process of the
 * published bundle alone, where signals, pipes and terminals matter.
 */
import { run as runCli } from "@mcp-sessions/cli/Cli"
import { Invocation, type OutputStream } from "@mcp-sessions/cli/Invocation"
import { Effect, type Scope } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fixture, makeLedger, until as waitFor } from "../fixtures/peer.ts"

/** The directory of the published bundle. */
const published = process.env.TEST_CLI ?? ""

/** The program of the published bundle. */
export const bin = join(published, "bundle/bin.js")

/** The directory in which the processes of tests keep compiled code. */
const cacheDirectory = join(published, "cache")

export interface Outcome {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

interface RunOptions {
  readonly env?: Record<string, string>
  /** What stdin holds. */
  readonly input?: string
  /** The width of the terminal that both outputs are. Default: they are no terminals. */
  readonly columns?: number
  /** What a user types at a terminal, line by line. Then stdin and stderr are wide terminals. */
  readonly typed?: ReadonlyArray<string>
  /** Whether stdout is a wide terminal, too. */
  readonly isTerminal?: boolean
  /** Interrupts the command once this holds of stdout and stderr. */
  readonly until?: (stdout: string, stderr: string) => boolean
  /** Receives the bytes of stdout at the end. */
  readonly onBytes?: (bytes: Buffer) => void
}

/** The width of a terminal that wraps nothing. */
const wide = 10_000

export interface Workplace {
  readonly directory: string
  readonly write: (name: string, content: unknown) => string
  /** Starts the published bundle as a process. */
  readonly start: (words: ReadonlyArray<string>, env?: Record<string, string>) => ChildProcess
  /** An invocation of the command line in this directory. */
  readonly invocation: (options: RunOptions) => Invocation["Service"] & {
    readonly text: () => Omit<Outcome, "status">
    readonly bytes: () => Buffer
  }
  /** Runs the command line within this process. */
  readonly run: (words: ReadonlyArray<string>, options?: RunOptions) => Effect.Effect<Outcome>
}

/** A stream that keeps what is written to it: a terminal if it has a width. */
export const captured = (columns?: number): OutputStream & {
  readonly text: () => string
  readonly bytes: () => Buffer
  /** Waits until a text was written. */
  readonly writes: (pattern: RegExp) => Effect.Effect<void>
} => {
  const all: Array<Buffer> = []
  const waiting = new Set<() => void>()
  const text = () => Buffer.concat(all).toString()
  return {
    isTerminal: columns !== undefined,
    hasColours: false,
    columns: () => columns ?? 80,
    rows: () => 24,
    resized: Effect.never,
    withModes: () => Effect.void,
    write: (data) =>
      Effect.sync(() => {
        all.push(Buffer.from(data))
        for (const check of waiting) check()
        return undefined
      }),
    text,
    bytes: () => Buffer.concat(all),
    writes: (pattern) =>
      Effect.callback((resume) => {
        const check = () => pattern.test(text()) ? resume(Effect.void) : undefined
        waiting.add(check)
        check()
        return Effect.sync(() => waiting.delete(check))
      })
  }
}

/** Commands that do not connect, and those that are themselves about trust. */
const untrusting: ReadonlySet<string> = new Set(["config", "servers", "completions"])

/** Trusts the files that a test has written, as its user does. Flags, a socket and files by name need no trust. */
export const trusting = (words: ReadonlyArray<string>, env: Record<string, string>): ReadonlyArray<string> => {
  const [command = "-"] = words
  const isLeft = command.startsWith("-") || untrusting.has(command) || words.includes("--config") ||
    env.MCP_SESSIONS_SOCK !== undefined
  return isLeft ? words : ["--trust", ...words]
}

/** Creates a working directory for the command line and removes it with the scope. */
export const workplace = Effect.acquireRelease(
  Effect.sync((): Workplace => {
    const directory = mkdtempSync(join(tmpdir(), "cli-"))
    const start = (words: ReadonlyArray<string>, env: Record<string, string> = {}) =>
      spawn(process.execPath, [bin, ...trusting(words, env)], {
        cwd: directory,
        env: { PATH: process.env.PATH ?? "", HOME: directory, XDG_CACHE_HOME: cacheDirectory, ...env },
        stdio: ["pipe", "pipe", "pipe"]
      })
    const invocation: Workplace["invocation"] = ({ columns, env, input, isTerminal = false, typed }) => {
      const lines = [...typed ?? []]
      const stdout = captured(isTerminal ? wide : columns)
      const stderr = captured(typed === undefined ? columns : wide)
      // What is typed shows on the terminal, after the prompt.
      const readLine: Invocation["Service"]["stdin"]["readLine"] = ({ isHidden = false, prompt }) =>
        Effect.suspend(() => {
          const line = lines.shift()
          return Effect.as(stderr.write(`${prompt}${isHidden ? "" : line ?? ""}\n`), line)
        })
      return {
        environment: { PATH: process.env.PATH ?? "", HOME: directory, ...env },
        directory,
        stdin: { isTerminal: typed !== undefined, readAll: () => Effect.succeed(input ?? ""), readLine },
        stdout,
        stderr,
        bytes: stdout.bytes,
        text: () => ({ stdout: stdout.text(), stderr: stderr.text() })
      }
    }
    return {
      directory,
      start,
      invocation,
      write: (name, content) => {
        const path = join(directory, name)
        writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content))
        return path
      },
      run: (words, options = {}) =>
        Effect.suspend(() => {
          const { onBytes, until } = options
          const one = invocation(options)
          const command = Effect.provideService(runCli(trusting(words, options.env ?? {})), Invocation, one)
          const watched = until === undefined ? command : Effect.raceFirst(
            command,
            Effect.as(waitFor(one.text, ({ stderr, stdout }) => until(stdout, stderr)), 130)
          )
          return Effect.map(watched, (status): Outcome => {
            onBytes?.(one.bytes())
            return { status, ...one.text() }
          })
        })
    }
  }),
  ({ directory }) => Effect.sync(() => rmSync(directory, { recursive: true }))
)

/**
 * Waits for the end of a process, and gives what it printed. Listens from the call on, not from the run of the effect: a process that ends
 * before that would never be seen to end.
 */
export const ended = (child: ChildProcess): Effect.Effect<Outcome> => {
  const text = async (stream: NodeJS.ReadableStream | null) => {
    let all = ""
    if (stream !== null) { for await (const chunk of stream.setEncoding("utf8")) all += chunk }
    return all
  }
  const outcome = Promise.all([text(child.stdout), text(child.stderr), once(child, "close")]).then(
    ([stdout, stderr]): Outcome => ({ status: child.exitCode, stdout, stderr })
  )
  return Effect.promise(() => outcome)
}

/** Runs a test in a working directory, with a ledger for the servers that it starts. */
export const inWorkplace = <A, E>(
  use: (
    place: Workplace,
    file: string,
    read: (word: string) => ReadonlyArray<string>
  ) => Effect.Effect<A, E, Scope.Scope>
): Effect.Effect<A, E> =>
  Effect.scoped(Effect.gen(function*() {
    const { file, read } = yield* makeLedger
    return yield* use(yield* workplace, file, read)
  }))

/** The words that start the fixture with everything that the command line shows. */
export const rich = (file: string): ReadonlyArray<string> => ["--", process.execPath, fixture("richStdio.mjs"), file]
