/**
 * The process of a stdio definition: its secrets are removed from what it writes, and the end of its stderr is kept.
 */
import type { ServerConfig } from "@mcp-sessions/core/ServerConfig"
import { ServerExited, type SpawnFailed } from "@mcp-sessions/core/SessionError"
import { ProcessStart } from "@mcp-sessions/core/Transport"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"
import type { Buffer } from "node:buffer"
import process from "node:process"
import type { Readable, Writable } from "node:stream"
import type { Process, Processes, ProcessExit } from "../../Processes.ts"
import { childEnvironment } from "../childEnvironment.ts"
import { redactorOf } from "../secrets.ts"
import { firstOf } from "../timeout.ts"
import { StderrRing } from "./stderrRing.ts"

/** How long to wait for output that a process wrote before it exited, in milliseconds. A grandchild may keep the pipe open. */
const drainTimeout = 100

export class ServerProcess {
  readonly pid: number | undefined
  readonly stdin: Writable
  readonly stdout: Readable
  readonly stderr: Readable
  /** Resolves when the process has exited and its output has been read. */
  readonly exited: Promise<void>
  /** Removes the secrets of the definition from output of the process. */
  readonly redact: (text: string) => string
  /** Called when the process writes its first byte, and when it ends. */
  readonly onStarted: () => void
  readonly #process: Process
  readonly #stderr = new StderrRing()
  #exit: ProcessExit | undefined
  #isDrained = false

  constructor(options: {
    readonly process: Process
    readonly redact: (text: string) => string
    readonly onStarted: () => void
  }) {
    const { onStarted, process: running, redact } = options
    const { stderr, stdin, stdout } = running
    this.#process = running
    this.pid = running.pid
    this.stdin = stdin
    this.stdout = stdout
    this.stderr = stderr
    this.redact = redact
    this.onStarted = onStarted
    stderr.once("data", onStarted)
    stderr.on("data", (chunk: Buffer) => this.#stderr.push(chunk))
    // A broken pipe shows as the exit that broke it. Without a listener the error would end this process.
    for (const stream of [stdin, stdout, stderr]) stream.on("error", () => {})
    const drained: Promise<unknown> = Promise.all(
      [stdout, stderr].map((stream) =>
        new Promise<void>((resolve) => {
          if (stream.closed) resolve()
          else stream.once("close", resolve)
        })
      )
    )
    this.exited = running.exited.then(async (exit) => {
      this.#exit = exit
      onStarted()
      await firstOf({ event: drained, millis: drainTimeout })
      this.#isDrained = true
    })
  }

  /** Whether the process takes no input any more. Its output may still be in the pipes. */
  get hasExited(): boolean {
    return this.#exit !== undefined
  }

  /** Whether the process has exited and its output has been read. Its exit may be reported from now on. */
  get isDrained(): boolean {
    return this.#isDrained
  }

  /** Returns the latest lines of stderr, secrets removed. */
  stderrTail(): string {
    return this.#stderr.tail(this.redact)
  }

  warnings(): ReadonlyArray<string> {
    return this.#process.warnings?.() ?? []
  }

  /** Returns how the process exited, as a reason. */
  exit(delivery: ServerExited["delivery"]): ServerExited {
    const { exitCode = null, signal = null } = this.#exit ?? {}
    // A program in the place of a process may end with anything.
    const code = Number.isFinite(exitCode) ? exitCode : null
    return new ServerExited({ exitCode: code, signal, stderrTail: this.stderrTail(), delivery })
  }
}

/** Starts the process of a stdio definition when the limit on process starts admits it, and ends it with the scope. */
export const startServer = Effect.fnUntraced(function*(
  config: Extract<ServerConfig, { readonly transport: "stdio" }>,
  processes: Processes
): Effect.fn.Return<ServerProcess, SpawnFailed, Scope.Scope> {
  const { args, command, cwd } = config
  const env = childEnvironment({ definition: config, surroundings: process })
  const options = { command, args, cwd, env, given: Object.keys(config.env) }
  yield* processes.prepare(options)
  const onStarted = yield* yield* ProcessStart
  let server: ServerProcess | undefined
  // After the process has ended: the requests in flight learn of its exit before the scope is closed.
  yield* Effect.addFinalizer(() =>
    Effect.promise(async () => server && firstOf({ event: server.exited, millis: 2 * drainTimeout }))
  )
  const running = yield* Effect.onExit(
    processes.start(options),
    (exit) => Exit.isFailure(exit) ? Effect.sync(onStarted) : Effect.void
  )
  return server = new ServerProcess({ process: running, redact: redactorOf(config), onStarted })
})
