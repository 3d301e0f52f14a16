/**
 * Access to the environment, the streams and the working directory of this process.
 */
import process from "node:process"
import { styleText } from "node:util"

export const environment: Readonly<Record<string, string | undefined>> = process.env

export const workingDirectory = (): string => process.cwd()

export const isTerminal = (stream: "stdin" | "stdout" | "stderr"): boolean => process[stream].isTTY

export type Style = Parameters<typeof styleText>[0]

/** Colours text if the stream is a terminal that supports colours and `NO_COLOR` is not set. */
export const style = (options: {
  readonly stream: "stdout" | "stderr"
  readonly format: Style
  readonly text: string
}): string => styleText(options.format, options.text, { stream: process[options.stream] })

/** Writes text and waits until it is written. Resolves with the error code of the system if that fails. */
export const write = (options: {
  readonly stream: "stdout" | "stderr"
  readonly text: string
}): Promise<string | undefined> =>
  new Promise((resolve) => {
    const { stream, text } = options
    process[stream].write(text, (error) => {
      resolve(error === null || error === undefined ? undefined : "code" in error ? String(error.code) : error.name)
    })
  })

/** Keeps a broken pipe from ending the process. `write` reports it. */
export const tolerateBrokenPipes = (): void => {
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {})
}

/** Reads standard input to its end. */
export const readInput = async (): Promise<string> => {
  let text = ""
  process.stdin.setEncoding("utf8")
  for await (const chunk of process.stdin) text += chunk
  return text
}
