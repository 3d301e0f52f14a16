/**
 * The invocation of this process.
 */
import * as Effect from "effect/Effect"
import process from "node:process"
import type { InputStream, Invocation, OutputStream } from "../Invocation.ts"
import { readLine } from "./readLine.ts"

const { env } = process

const outputOf = (name: "stdout" | "stderr"): OutputStream => {
  const stream = process[name]
  // A broken pipe must not end the process. `write` reports it.
  stream.on("error", () => {})
  return {
    isTerminal: stream.isTTY,
    hasColours: stream.isTTY && stream.hasColors() && (env.NO_COLOR ?? "") === "",
    columns: () => stream.columns ?? 80,
    write: (text) =>
      Effect.callback((resume) => {
        stream.write(text, (error) => {
          const code = error === null || error === undefined
            ? undefined
            : "code" in error
            ? String(error.code)
            : error.name
          resume(Effect.succeed(code))
        })
      })
  }
}

const readAll: InputStream["readAll"] = (limit) =>
  Effect.filterOrFail(
    Effect.promise(async () => {
      const chunks: Array<Uint8Array> = []
      let size = 0
      for await (const chunk of process.stdin) {
        chunks.push(chunk)
        size += chunk.length
        if (size > limit) return undefined
      }
      return new Blob(chunks as Array<Uint8Array<ArrayBuffer>>).text()
    }),
    (text) => text !== undefined,
    () => `standard input: expected at most ${Math.floor(limit / 1024 ** 2)} MiB`
  )

/** The environment, the working directory and the streams of this process. */
export const processInvocation = (): Invocation["Service"] => ({
  environment: env,
  directory: process.cwd(),
  stdin: { isTerminal: process.stdin.isTTY, readAll, readLine },
  stdout: outputOf("stdout"),
  stderr: outputOf("stderr")
})
