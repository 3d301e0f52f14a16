/**
 * The client of a socket as the holder sees it: its streams, and the events of its command.
 *
 * A chunk of output is sent when the client has written the one before, so a slow reader slows the command down. What a client sends is
 * bounded, and a client that breaks the protocol is cut off.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Semaphore from "effect/Semaphore"
import { Buffer } from "node:buffer"
import type * as Net from "node:net"
import type { InputStream, OutputStream } from "../../Invocation.ts"
import { chunkLimit, encode, FrameReader, type Kind, kinds, objectOf, protocolVersion } from "./frames.ts"

const Output = Schema.Struct({
  isTerminal: Schema.Boolean,
  hasColours: Schema.Boolean,
  columns: Schema.Int,
  rows: Schema.Int
})

const Variables = Schema.Record(Schema.String, Schema.String)

/** The first frame of a client. `version` alone is read before the others. */
const Hello = Schema.Struct({
  version: Schema.Literal(protocolVersion),
  token: Schema.optionalKey(Schema.String),
  words: Schema.Array(Schema.String),
  directory: Schema.String,
  project: Schema.optionalKey(Schema.String),
  selection: Variables,
  display: Variables,
  stdin: Schema.Struct({ isTerminal: Schema.Boolean }),
  stdout: Output,
  stderr: Output
})

export type Hello = typeof Hello.Type

const decodeHello = Schema.decodeUnknownOption(Hello)

const decodeWritten = Schema.decodeUnknownOption(
  Schema.Struct({ stream: Schema.Literals(["stdout", "stderr"]), code: Schema.optionalKey(Schema.String) })
)

const decodeResize = Schema.decodeUnknownOption(
  Schema.Struct({ stream: Schema.Literals(["stdout", "stderr"]), columns: Schema.Int, rows: Schema.Int })
)

const decodeLine = Schema.decodeUnknownOption(Schema.Struct({ line: Schema.optionalKey(Schema.String) }))

/** What waits for frames of the client. */
interface Waiting {
  readonly written: {
    readonly stdout: Array<(code: string | undefined) => void>
    readonly stderr: Array<(code: string | undefined) => void>
  }
  input: { readonly take: (chunk: Buffer) => void; readonly end: () => void } | undefined
  line: ((line: string | undefined) => void) | undefined
}

/** The code of the system for a write to a client that is gone. */
const gone = "EPIPE"

export class RemoteClient {
  readonly #socket: Net.Socket
  readonly #sizes = { stdout: { columns: 80, rows: 24 }, stderr: { columns: 80, rows: 24 } }
  readonly #onResize = new Set<() => void>()
  readonly #waiting: Waiting = { written: { stdout: [], stderr: [] }, input: undefined, line: undefined }
  readonly #hello = Deferred.makeUnsafe<{ readonly version: unknown; readonly hello: Hello | undefined }>()
  readonly #started = Deferred.makeUnsafe<void>()
  readonly #cancelled = Deferred.makeUnsafe<void>()
  readonly #closed = Deferred.makeUnsafe<void>()
  #isGreeted = false

  constructor(socket: Net.Socket) {
    this.#socket = socket
    const reader = new FrameReader({
      onFrame: (kind, payload) => this.#onFrame(kind, payload),
      onFault: () => socket.destroy()
    })
    socket.on("data", (chunk) => reader.push(chunk))
    socket.on("error", () => {})
    socket.once("close", () => this.#onClose())
  }

  /** The first frame; `hello` is `undefined` if it is not of this version. */
  get hello(): Effect.Effect<{ readonly version: unknown; readonly hello: Hello | undefined }> {
    return Deferred.await(this.#hello)
  }

  /** Waits until the command is to run. */
  get started(): Effect.Effect<void> {
    return Deferred.await(this.#started)
  }

  /** Waits until the command is to be cancelled. */
  get cancelled(): Effect.Effect<void> {
    return Deferred.await(this.#cancelled)
  }

  /** Waits until the client is gone. */
  get closed(): Effect.Effect<void> {
    return Deferred.await(this.#closed)
  }

  send(...[kind, payload]: readonly [kind: Kind, payload: Uint8Array | object]): void {
    if (!this.#socket.destroyed) this.#socket.write(encode(kind, payload))
  }

  /** Ends the connection after what was sent. */
  end(): void {
    this.#socket.end()
  }

  destroy(): void {
    this.#socket.destroy()
  }

  /** The stream of the client that output goes to. */
  output(...[name, hello]: readonly [name: "stdout" | "stderr", hello: Hello]): OutputStream {
    const { columns, hasColours, isTerminal, rows } = hello[name]
    this.#sizes[name] = { columns, rows }
    const turn = Semaphore.makeUnsafe(1)
    const write: OutputStream["write"] = (data) =>
      turn.withPermits(1)(this.#write(name, Buffer.from(data as Uint8Array)))
    return {
      isTerminal,
      hasColours,
      columns: () => this.#sizes[name].columns,
      rows: () => this.#sizes[name].rows,
      resized: this.#resized,
      withModes: ({ enter, leave }) => Effect.asVoid(Effect.acquireRelease(write(enter), () => write(leave))),
      write
    }
  }

  get #resized(): Effect.Effect<void> {
    return Effect.callback((resume) => {
      const resized = () => resume(Effect.void)
      this.#onResize.add(resized)
      return Effect.sync(() => this.#onResize.delete(resized))
    })
  }

  /** The stdin of the client. */
  input({ stdin: { isTerminal } }: Hello): InputStream {
    return {
      isTerminal,
      readAll: (limit) => this.#readAll(limit),
      readLine: ({ isHidden, prompt }) =>
        Effect.callback((resume) => {
          this.#waiting.line = (line) => resume(Effect.succeed(line))
          this.send(kinds.readLine, { prompt, isHidden })
          return Effect.sync(() => {
            this.#waiting.line = undefined
            this.send(kinds.stopLine, {})
          })
        })
    }
  }

  #write(name: "stdout" | "stderr", bytes: Buffer): Effect.Effect<string | undefined> {
    return Effect.gen({ self: this }, function*() {
      for (let start = 0; start < bytes.length; start += chunkLimit) {
        const code = yield* this.#writeChunk(name, bytes.subarray(start, start + chunkLimit))
        if (code !== undefined) return code
      }
      return undefined
    })
  }

  #writeChunk(name: "stdout" | "stderr", chunk: Buffer): Effect.Effect<string | undefined> {
    return Effect.callback((resume) => {
      if (this.#socket.destroyed) return resume(Effect.succeed(gone))
      this.#waiting.written[name].push((code) => resume(Effect.succeed(code)))
      this.send(kinds[name], chunk)
    })
  }

  #readAll(limit: number): Effect.Effect<string, string> {
    return Effect.callback((resume) => {
      const chunks: Array<Buffer> = []
      let size = 0
      const stop = () => {
        this.#waiting.input = undefined
      }
      this.#waiting.input = {
        take: (chunk) => {
          chunks.push(chunk)
          size += chunk.length
          if (size <= limit) return
          stop()
          resume(Effect.fail(`standard input: expected at most ${Math.floor(limit / 1024 ** 2)} MiB`))
        },
        end: () => {
          stop()
          resume(Effect.succeed(Buffer.concat(chunks).toString("utf8")))
        }
      }
      this.send(kinds.readInput, { limit })
      return Effect.sync(stop)
    })
  }

  #onFrame(kind: Kind, payload: Buffer): void {
    if (!this.#isGreeted) return this.#greet(kind, payload)
    switch (kind) {
      case kinds.start:
        return void Deferred.doneUnsafe(this.#started, Effect.void)
      case kinds.cancel:
        return void Deferred.doneUnsafe(this.#cancelled, Effect.void)
      case kinds.input:
        // What arrives after the limit was exceeded is dropped.
        return this.#waiting.input?.take(payload)
      case kinds.inputEnd:
        return this.#waiting.input?.end()
      case kinds.line:
        return this.#take(decodeLine(objectOf(payload)), ({ line }) => {
          // The command may ask for the next line before this returns.
          const resolve = this.#waiting.line
          this.#waiting.line = undefined
          resolve?.(line)
        })
      case kinds.resize:
        return this.#take(decodeResize(objectOf(payload)), ({ columns, rows, stream }) => {
          this.#sizes[stream] = { columns, rows }
          for (const resized of this.#onResize) resized()
        })
      case kinds.written:
        return this.#take(decodeWritten(objectOf(payload)), ({ code, stream }) => {
          const resolve = this.#waiting.written[stream].shift()
          if (resolve === undefined) this.#socket.destroy()
          else resolve(code)
        })
      default:
        this.#socket.destroy()
    }
  }

  #greet(kind: Kind, payload: Buffer): void {
    const fields = objectOf(payload)
    if (kind !== kinds.hello || fields === undefined) return void this.#socket.destroy()
    this.#isGreeted = true
    const hello = Option.getOrUndefined(decodeHello(fields))
    Deferred.doneUnsafe(this.#hello, Effect.succeed({ version: fields.version, hello }))
  }

  /** Uses a decoded frame. A client that sends anything else is cut off. */
  #take<A>(frame: Option.Option<A>, use: (value: A) => void): void {
    if (Option.isSome(frame)) use(frame.value)
    else this.#socket.destroy()
  }

  #onClose(): void {
    const { stderr, stdout } = this.#waiting.written
    for (const resolve of [...stdout.splice(0), ...stderr.splice(0)]) resolve(gone)
    Deferred.doneUnsafe(this.#closed, Effect.void)
  }
}
