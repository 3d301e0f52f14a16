/**
 * The invocation of this process.
 */
import * as Effect from "effect/Effect"
import process from "node:process"
import type { InputStream, Invocation, OutputStream } from "../Invocation.ts"
import { codeOf, hasColours, sizeOf } from "./terminal.ts"
import { readTerminalLine } from "./terminalLine.ts"
import { resized, withModes } from "./terminalModes.ts"

const { env } = process

const outputOf = (name: "stdout" | "stderr"): OutputStream => {
  const stream = process[name]
  // A broken pipe must not end the process. `write` reports it.
  stream.on("error", () => {})
  const write: OutputStream["write"] = (data) =>
    Effect.callback((resume) => {
      stream.write(data, (error) => resume(Effect.succeed(codeOf(error))))
    })
  return {
    isTerminal: stream.isTTY,
    hasColours: hasColours(stream),
    columns: () => sizeOf(stream).columns,
    rows: () => sizeOf(stream).rows,
    resized: resized(stream),
    withModes: withModes(stream.fd, write),
    write
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

const readLine: InputStream["readLine"] = ({ isHidden = false, prompt }) =>
  Effect.callback((resume) => {
    const { line, stop } = readTerminalLine({ prompt, isHidden })
    void line.then((line) => resume(Effect.succeed(line)))
    return Effect.sync(stop)
  })

/** The environment, the working directory and the streams of this process. */
export const processInvocation = (): Invocation["Service"] => ({
  environment: env,
  directory: process.cwd(),
  stdin: { isTerminal: process.stdin.isTTY, readAll, readLine },
  stdout: outputOf("stdout"),
  stderr: outputOf("stderr")
})
