/**
 * What the command line needs of this process, and nothing else needs.
 */
import process from "node:process"
import { styleText } from "node:util"

export const environment: Readonly<Record<string, string | undefined>> = process.env

export const workingDirectory = (): string => process.cwd()

export const isTerminal = (stream: "stdout" | "stderr"): boolean => process[stream].isTTY

export type Style = Parameters<typeof styleText>[0]

/** Colours text if the stream is a terminal that has colours and the user did not say otherwise (`NO_COLOR`). */
export const style = (options: {
  readonly stream: "stdout" | "stderr"
  readonly format: Style
  readonly text: string
}): string => styleText(options.format, options.text, { stream: process[options.stream] })

/** Writes and waits until it is written. Gives the system's error code if it cannot be. */
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

/** A broken pipe is reported by each write; without a listener it would end the process. */
export const tolerateBrokenPipes = (): void => {
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {})
}

/** All of standard input. */
export const readInput = async (): Promise<string> => {
  let text = ""
  process.stdin.setEncoding("utf8")
  for await (const chunk of process.stdin) text += chunk
  return text
}
