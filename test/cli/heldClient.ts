/**
 * A client of a process that holds sessions, with streams that a test controls. The real client writes to the streams of its process.
 */
import { Effect, Schedule } from "effect"
import { once } from "node:events"
import { connect, type Socket } from "node:net"
import { findProjects } from "../../packages/cli/src/internal/socket/address.ts"
import {
  encode,
  FrameReader,
  type Kind,
  kinds,
  objectOf,
  protocolVersion
} from "../../packages/cli/src/internal/socket/frames.ts"
import type { Outcome } from "./cli.ts"

export interface ClientOptions {
  readonly words: ReadonlyArray<string>
  readonly directory: string
  /** The chunks of stdin. */
  readonly input?: ReadonlyArray<string>
  /** The lines that a user types. With them, stdin and stderr are a terminal. */
  readonly lines?: ReadonlyArray<string>
  /** Fields that replace those of the first frame. */
  readonly hello?: Readonly<Record<string, unknown>>
  /** Handles a chunk before it is acknowledged. Gives a code of the system for a write that fails. */
  readonly onChunk?: (text: string) => Promise<string | undefined>
}

type Ending = "declined" | "refused" | "closed"

export interface Client {
  readonly socket: Socket
  readonly send: (kind: Kind, payload: object) => void
  /** The kinds and payloads that arrived. */
  readonly frames: Array<readonly [Kind, Buffer]>
  readonly ended: Promise<Omit<Outcome, "status"> & { readonly status: number | Ending; readonly message?: string }>
}

export const open = (path: string, options: ClientOptions): Client => {
  const { directory, hello, input = [], lines, onChunk, words } = options
  const socket = connect(path)
  const frames: Client["frames"] = []
  const typed = [...lines ?? []]
  const texts = { stdout: "", stderr: "" }
  const send: Client["send"] = (kind, payload) => {
    if (socket.writable) socket.write(encode(kind, payload))
  }
  const ended = new Promise<Awaited<Client["ended"]>>((resolve) => {
    const end = (status: number | Ending, message?: string) => {
      resolve({ status, ...texts, ...(message === undefined ? {} : { message }) })
      socket.end()
    }
    const chunk = async (stream: "stdout" | "stderr", payload: Buffer) => {
      texts[stream] += payload.toString("utf8")
      send(kinds.written, { stream, code: await onChunk?.(payload.toString("utf8")) })
    }
    const reader = new FrameReader({
      onFault: () => socket.destroy(),
      onFrame: (kind, payload) => {
        frames.push([kind, payload])
        if (kind === kinds.accept) send(kinds.start, {})
        else if (kind === kinds.decline) end("declined")
        else if (kind === kinds.refuse) end("refused", String(objectOf(payload)?.message))
        else if (kind === kinds.stdout) void chunk("stdout", payload)
        else if (kind === kinds.stderr) void chunk("stderr", payload)
        else if (kind === kinds.exit) end(Number(objectOf(payload)?.status))
        else if (kind === kinds.readLine) send(kinds.line, { line: typed.shift() })
        else if (kind === kinds.readInput) {
          for (const text of input) send(kinds.input, Buffer.from(text))
          send(kinds.inputEnd, {})
        }
      }
    })
    socket.on("data", (data) => reader.push(data))
    socket.on("error", () => {})
    socket.once("close", () => end("closed"))
  })
  const isTerminal = lines !== undefined
  send(kinds.hello, {
    version: protocolVersion,
    words,
    directory,
    selection: {},
    display: {},
    stdin: { isTerminal },
    stdout: { isTerminal: false, hasColours: false, columns: 80, rows: 24 },
    stderr: { isTerminal, hasColours: false, columns: 80, rows: 24 },
    ...hello
  })
  return { socket, send, frames, ended }
}

/** Runs a command at a holder. */
export const runAt = (path: string, options: ClientOptions) => Effect.promise(() => open(path, options).ended)

/** Waits until the sessions of a directory are held, and gives the socket. */
export const heldAt = (directory: string, environment: Readonly<Record<string, string>>): Effect.Effect<string> =>
  Effect.promise(async () => {
    const [found] = findProjects(directory, environment)
    if (found === undefined) return undefined
    const selection = { MCP_SESSIONS_CONFIG: environment.MCP_SESSIONS_CONFIG }
    const { status } = await open(found.address.path, { words: ["status"], directory, hello: { selection } }).ended
    return status === "declined" || status === "closed" ? undefined : found.address.path
  }).pipe(
    Effect.filterOrFail((path) => path !== undefined, () => "not held"),
    Effect.retry(Schedule.max([Schedule.spaced("20 millis"), Schedule.recurs(1500)])),
    Effect.orDie
  )

/** Sends bytes and waits until the holder cuts the connection. */
export const sendUntilClosed = (path: string, bytes: Uint8Array): Effect.Effect<void> =>
  Effect.promise(async () => {
    const socket = connect(path)
    socket.on("error", () => {})
    const closed = once(socket, "close")
    socket.write(bytes)
    socket.resume()
    await closed
  })
