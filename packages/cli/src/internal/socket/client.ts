/**
 * Runs a command at the process that holds its sessions. Loads nothing but Node, because its start is most of the time that a warm call takes.
 */
import type { Buffer } from "node:buffer"
import * as Net from "node:net"
import { constants } from "node:os"
import process from "node:process"
import { exitStatuses } from "../exitStatuses.ts"
import { onSignal } from "../signals.ts"
import { codeOf, hasColours, sizeOf } from "../terminal.ts"
import type { Address } from "./address.ts"
import { chunkLimit, encode, frameLimit, FrameReader, type Kind, kinds, objectOf, protocolVersion } from "./frames.ts"
import { displayVariables, selectionVariables } from "./variables.ts"

/** How long a holder may take to accept a command, in milliseconds. After that the command runs here. */
const acceptTimeout = 2000

/** The command as the holder sees it. */
export interface Request {
  readonly address: Address
  readonly words: ReadonlyArray<string>
  /** The directory of the project whose holder was found; `undefined` for the address that `with` passed on. */
  readonly project: string | undefined
}

type Environment = Readonly<Record<string, string | undefined>>

const pick = (environment: Environment, names: ReadonlyArray<string>): Record<string, string> =>
  Object.fromEntries(names.flatMap((name) => {
    const value = environment[name]
    return value === undefined ? [] : [[name, value]]
  }))

const outputOf = (name: "stdout" | "stderr") => {
  const stream = process[name]
  return { isTerminal: Boolean(stream.isTTY), hasColours: hasColours(stream), ...sizeOf(stream) }
}

const helloOf = ({ address, project, words }: Request) => ({
  version: protocolVersion,
  token: address.token,
  words,
  directory: process.cwd(),
  project,
  selection: pick(process.env, selectionVariables),
  display: pick(process.env, displayVariables),
  stdin: { isTerminal: Boolean(process.stdin.isTTY) },
  stdout: outputOf("stdout"),
  stderr: outputOf("stderr")
})

/** Sends stdin to the holder, up to `limit` bytes and a little more: the holder refuses what is longer. */
const sendInput = async (socket: Net.Socket, limit: number): Promise<void> => {
  let size = 0
  for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
    for (let start = 0; start < chunk.length; start += chunkLimit) {
      const frame = encode(kinds.input, chunk.subarray(start, start + chunkLimit))
      if (!socket.write(frame)) await new Promise((resolve) => socket.once("drain", resolve))
    }
    size += chunk.length
    if (size > limit) break
  }
  socket.write(encode(kinds.inputEnd, {}))
}

const isJson = (words: ReadonlyArray<string>): boolean =>
  words.some((word) => word === "--json" || word === "--json=true")

/** Prints why a command does not use the sessions that are held. */
export const warn = (warning: unknown, words: ReadonlyArray<string>): void => {
  if (typeof warning !== "string") return
  process.stderr.write(isJson(words) ? `${JSON.stringify({ warning })}\n` : `warning: ${warning}\n`)
}

/** Reports a failure of the connection to the holder in the form that the command was asked for. */
const report = ({ code, message, outcome, words }: {
  readonly code: string
  readonly message: string
  readonly outcome: "not_sent" | "unknown"
  readonly words: ReadonlyArray<string>
}): void => {
  const error = { code, message, retryable: outcome === "not_sent", outcome }
  process.stderr.write(isJson(words) ? `${JSON.stringify({ error })}\n` : `error[${code}]: ${message}\n`)
}

/** One command, from its hello to its exit status. */
class Exchange {
  readonly #request: Request
  readonly #socket: Net.Socket
  readonly ended: Promise<number | undefined>
  #resolve: (status: number | undefined) => void = () => {}
  readonly #timer: NodeJS.Timeout
  #isStarted = false
  #isEnded = false
  #signalled: number | undefined
  #stopLine: (() => void) | undefined
  readonly #release: Array<() => void> = []

  constructor(request: Request) {
    this.#request = request
    this.ended = new Promise((resolve) => {
      this.#resolve = resolve
    })
    this.#socket = Net.connect(request.address.path)
    this.#timer = setTimeout(() => this.#end(undefined), acceptTimeout)
    const reader = new FrameReader({
      onFrame: (kind, payload) => this.#onFrame(kind, payload),
      onFault: () => this.#socket.destroy()
    })
    this.#socket.once("connect", () => this.#greet())
    this.#socket.on("data", (chunk) => reader.push(chunk))
    this.#socket.on("error", () => {})
    this.#socket.once("close", () => this.#onClose())
  }

  #greet(): void {
    const hello = encode(kinds.hello, helloOf(this.#request))
    if (hello.length > frameLimit) this.#end(undefined)
    else this.#socket.write(hello)
  }

  #send(kind: Kind, payload: object): void {
    this.#socket.write(encode(kind, payload))
  }

  #onFrame(kind: Kind, payload: Buffer): void {
    switch (kind) {
      case kinds.accept:
        return this.#start()
      case kinds.decline:
        warn(objectOf(payload)?.warning, this.#request.words)
        return this.#end(undefined)
      case kinds.refuse: {
        const message = String(objectOf(payload)?.message)
        report({ code: "Usage", message, outcome: "not_sent", words: this.#request.words })
        return this.#end(exitStatuses.usage)
      }
      case kinds.stdout:
        return this.#write("stdout", payload)
      case kinds.stderr:
        return this.#write("stderr", payload)
      case kinds.readInput:
        return void sendInput(this.#socket, Number(objectOf(payload)?.limit))
      case kinds.readLine:
        return void this.#readLine(objectOf(payload) ?? {})
      case kinds.stopLine:
        return this.#stopLine?.()
      case kinds.exit:
        return this.#end(this.#signalled ?? Number(objectOf(payload)?.status))
    }
  }

  #start(): void {
    if (this.#isStarted) return
    this.#isStarted = true
    clearTimeout(this.#timer)
    for (const name of ["stdout", "stderr"] as const) {
      const stream = process[name]
      // A broken pipe must not end the process: the holder is told.
      stream.on("error", () => {})
      const onResize = () => this.#send(kinds.resize, { stream: name, ...sizeOf(stream) })
      stream.on("resize", onResize)
      this.#release.push(() => stream.off("resize", onResize))
    }
    this.#release.push(onSignal((signal) => {
      const status = 128 + constants.signals[signal]
      if (this.#signalled !== undefined) process.exit(status)
      this.#signalled = status
      this.#send(kinds.cancel, {})
    }))
    this.#send(kinds.start, {})
  }

  #write(stream: "stdout" | "stderr", bytes: Buffer): void {
    process[stream].write(bytes, (error) => this.#send(kinds.written, { stream, code: codeOf(error) }))
  }

  async #readLine(request: Readonly<Record<string, unknown>>): Promise<void> {
    const { readTerminalLine } = await import("../terminalLine.ts")
    if (this.#isEnded) return
    const { line, stop } = readTerminalLine({ prompt: String(request.prompt), isHidden: request.isHidden === true })
    this.#stopLine = stop
    this.#send(kinds.line, { line: await line })
    this.#stopLine = undefined
  }

  #onClose(): void {
    if (this.#isEnded) return
    if (!this.#isStarted) return this.#end(undefined)
    const isCall = this.#request.words.includes("call")
    const outcome = isCall ? "unknown" : "not_sent"
    const message = "the process that holds the sessions has ended"
    report({ code: "HolderLost", message, outcome, words: this.#request.words })
    this.#end(this.#signalled ?? (isCall ? exitStatuses.outcomeUnknown : exitStatuses.unreachable))
  }

  #end(status: number | undefined): void {
    if (this.#isEnded) return
    this.#isEnded = true
    clearTimeout(this.#timer)
    this.#stopLine?.()
    for (const release of this.#release) release()
    this.#socket.destroy()
    this.#resolve(status)
  }
}

/** Runs a command at a holder and resolves with its exit status; with `undefined` if the command has to run here. */
export const runAtHolder = (request: Request): Promise<number | undefined> => new Exchange(request).ended
