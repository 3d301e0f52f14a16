/**
 * Hands the lines that a child process writes to stderr to the handler of the client.
 */
import { Peer } from "@mcp-sessions/core/Transport"
import * as Effect from "effect/Effect"
import type { Buffer } from "node:buffer"
import { StringDecoder } from "node:string_decoder"
import type { ServerProcess } from "./serverProcess.ts"

/** The longest line that is handed over in one piece, in characters. */
const lineLimit = 64 * 1024

/** Splits text into lines, and hands each over. A line that is too long is cut into pieces. */
class Lines {
  #rest = ""
  readonly #onLine: (line: string) => void

  constructor(onLine: (line: string) => void) {
    this.#onLine = onLine
  }

  push(text: string): void {
    const lines = (this.#rest + text).split("\n")
    this.#rest = lines.pop() ?? ""
    for (const line of lines) this.#take(line.endsWith("\r") ? line.slice(0, -1) : line)
    if (this.#rest.length <= lineLimit) return
    this.#take(this.#rest)
    this.#rest = ""
  }

  end(): void {
    if (this.#rest !== "") this.#take(this.#rest)
    this.#rest = ""
  }

  #take(line: string): void {
    for (let at = 0; at < Math.max(line.length, 1); at += lineLimit) this.#onLine(line.slice(at, at + lineLimit))
  }
}

/** Follows the stderr of a child, if the client has a handler of it. */
export const followStderr = (child: ServerProcess): Effect.Effect<void> =>
  Effect.gen(function*() {
    const { handlers, owner, server } = yield* Peer
    const handle = handlers.stderr
    if (handle === undefined) return
    const log = Effect.runForkWith(yield* Effect.context<never>())
    const lines = new Lines((line) => {
      try {
        handle(child.redact(line), { owner, server })
      } catch (defect) {
        log(Effect.logError(`the handler of stderr of ${server} failed`, defect))
      }
    })
    const decoder = new StringDecoder("utf8")
    child.stderr.on("data", (chunk: Buffer) => lines.push(decoder.write(chunk)))
    const end = () => {
      lines.push(decoder.end())
      lines.end()
    }
    child.stderr.once("end", end)
    // A descendant may keep the pipe open. What the process wrote last arrives before its exit is reported.
    void child.exited.then(end)
  })
