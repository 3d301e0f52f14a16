/**
 * Runs the command line as its users do: the published bundle alone, as a process with words, streams and an exit status.
 */
import { Effect } from "effect"
import { type ChildProcess, execFileSync, spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { createRequire } from "node:module"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { afterAll } from "vitest"

const published = mkdtempSync(join(tmpdir(), "published-"))
afterAll(() => rmSync(published, { recursive: true }))
execFileSync(
  join(import.meta.dirname, "../../node_modules/.bin/rolldown"),
  ["-c", "--dir", join(published, "bundle")],
  {
    cwd: dirname(createRequire(import.meta.url).resolve("@mcp-sessions/cli/package.json")),
    stdio: "pipe"
  }
)
writeFileSync(join(published, "package.json"), "{\"type\":\"module\"}")

export const bin = join(published, "bundle/bin.js")

export interface Outcome {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface Workplace {
  readonly directory: string
  readonly write: (name: string, content: unknown) => string
  readonly start: (words: ReadonlyArray<string>, env?: Record<string, string>) => ChildProcess
  readonly run: (
    words: ReadonlyArray<string>,
    options?: { readonly env?: Record<string, string>; readonly input?: string }
  ) => Effect.Effect<Outcome>
}

const text = async (stream: NodeJS.ReadableStream | null): Promise<string> => {
  let all = ""
  if (stream !== null) { for await (const chunk of stream.setEncoding("utf8")) all += chunk }
  return all
}

/** Creates a working directory for the command line and removes it with the scope. */
export const workplace = Effect.acquireRelease(
  Effect.sync((): Workplace => {
    const directory = mkdtempSync(join(tmpdir(), "cli-"))
    const start = (words: ReadonlyArray<string>, env: Record<string, string> = {}) =>
      spawn(process.execPath, [bin, ...words], {
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
        Effect.promise(async () => {
          const child = start(words, env)
          child.stdin?.end(input)
          const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "close")])
          return { status: child.exitCode, stdout, stderr }
        })
    }
  }),
  ({ directory }) => Effect.sync(() => rmSync(directory, { recursive: true }))
)
