/**
 * Port of a process: what the transport over standard streams needs of it.
 */
import type { Readable, Writable } from "node:stream"

/** How a process ended: with an exit code, or by a signal. */
export interface ProcessExit {
  /** The exit code; `null` after a signal. */
  readonly exitCode: number | null
  /** The name of the signal, such as `SIGTERM`; `null` after an exit. */
  readonly signal: string | null
}

/** A running process. The scope that started it ends it. */
export interface Process {
  /** The process id, where there is one. */
  readonly pid?: number | undefined
  /** What the process reads. */
  readonly stdin: Writable
  /** What the process writes: messages. */
  readonly stdout: Readable
  /** What the process writes beside messages. Its end is kept, and quoted by errors. */
  readonly stderr: Readable
  /** Resolves when the process has exited, and never rejects. What it wrote before may still be in the streams. */
  readonly exited: Promise<ProcessExit>
  /** Returns a sentence about each problem of the process that users should know of. Default: none. */
  readonly warnings?: (() => ReadonlyArray<string>) | undefined
}
