/**
 * Runs the command line: within this process, with words, streams and an exit status of its own; or as its users do, as a process of the
 * published bundle alone, where signals, pipes and terminals matter.
 */
import { run as runCli } from "@mcp-sessions/cli/Cli"
import { Invocation, type OutputStream } from "@mcp-sessions/cli/Invocation"
import { Effect } from "effect"
import { type ChildProcess, execFileSync, spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { createRequire } from "node:module"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { afterAll } from "vitest"

let published: string | undefined
afterAll(() => {
  if (published !== undefined) rmSync(published, { recursive: true })
})

const publish = (): string => {
  const directory = mkdtempSync(join(tmpdir(), "published-"))
  execFileSync(
    join(import.meta.dirname, "../../node_modules/.bin/rolldown"),
    ["-c", "--dir", join(directory, "bundle")],
    {
      cwd: dirname(createRequire(import.meta.url).resolve("@mcp-sessions/cli/package.json")),
      stdio: "pipe"
    }
  )
  writeFileSync(join(directory, "package.json"), "{\"type\":\"module\"}")
  return directory
}

/** The program of the published bundle, built by the first test that needs it. */
export const bin = (): string => join(published ??= publish(), "bundle/bin.js")

export interface Outcome {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface Workplace {
  readonly directory: string
  readonly write: (name: string, content: unknown) => string
  /** Starts the published bundle as a process. */
  readonly start: (words: ReadonlyArray<string>, env?: Record<string, string>) => ChildProcess
  /** Runs the command line within this process. */
  readonly run: (
    words: ReadonlyArray<string>,
    options?: { readonly env?: Record<string, string>; readonly input?: string }
  ) => Effect.Effect<Outcome>
}

/** A stream that is no terminal, and keeps what is written to it. */
const captured = (): OutputStream & { readonly text: () => string } => {
  let all = ""
  return {
    isTerminal: false,
    hasColours: false,
    columns: () => 80,
    write: (text) =>
      Effect.sync(() => {
        all += text
        return undefined
      }),
    text: () => all
  }
}

/** Creates a working directory for the command line and removes it with the scope. */
export const workplace = Effect.acquireRelease(
  Effect.sync((): Workplace => {
    const directory = mkdtempSync(join(tmpdir(), "cli-"))
    const start = (words: ReadonlyArray<string>, env: Record<string, string> = {}) =>
      spawn(process.execPath, [bin(), ...words], {
        cwd: directory,
        env: { PATH: process.env.PATH ?? "", HOME: directory, ...env },
        stdio: ["pipe", "pipe", "pipe"]
      })
    return {
      directory,
      start,
      write: (name, content) => {
        const path = join(directory, name)
        writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content))
        return path
      },
      run: (words, { env, input } = {}) =>
        Effect.suspend(() => {
          const [stdout, stderr] = [captured(), captured()]
          const invocation: Invocation["Service"] = {
            environment: { PATH: process.env.PATH ?? "", HOME: directory, ...env },
            directory,
            stdin: {
              isTerminal: false,
              readAll: () => Effect.succeed(input ?? ""),
              readLine: () => Effect.undefined
            },
            stdout,
            stderr
          }
          return Effect.map(
            Effect.provideService(runCli(words), Invocation, invocation),
            (status): Outcome => ({ status, stdout: stdout.text(), stderr: stderr.text() })
          )
        })
    }
  }),
  ({ directory }) => Effect.sync(() => rmSync(directory, { recursive: true }))
)

/** Waits for the end of a process, and gives what it printed. */
export const ended = (child: ChildProcess): Effect.Effect<Outcome> =>
  Effect.promise(async () => {
    const text = async (stream: NodeJS.ReadableStream | null) => {
      let all = ""
      if (stream !== null) { for await (const chunk of stream.setEncoding("utf8")) all += chunk }
      return all
    }
    const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "close")])
    return { status: child.exitCode, stdout, stderr }
  })
