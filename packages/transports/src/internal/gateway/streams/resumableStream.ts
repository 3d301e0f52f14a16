/**
 * Resumable streams: event streams of a client session that survive their response. Each message has an id, and is kept for a while. A client whose
 * response broke opens another one with the id of the last message that it has, and receives those after it.
 *
 * The ids of a stream for requests name these, so a process that has the session after another one can answer them: their responses are lost.
 *
 * @see https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#resumability-and-redelivery
 */
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Crypto from "node:crypto"
import type { ServerResponse } from "node:http"
import { onClosed } from "../http/http.ts"
import { outcomeLost, responseNotKept, type RpcError, type RpcId } from "../protocol/rpc.ts"
import type { EventStreams } from "./eventStreams.ts"
import type { Keeper, SessionMessages } from "./keptMessages.ts"
import { isRequest, type Outgoing, textOf } from "./outgoing.ts"
import { SentRequests } from "./sentRequests.ts"

/** How many messages of one stream are kept, and how many characters of them. The oldest go first. */
const [messageLimit, streamLimit] = [256, 4 * 1024 ** 2]

/** How many streams for requests one session keeps. Those with an open response are kept whatever their number. */
const requestLimit = 32

/** How long a stream is kept without a response, in milliseconds. */
const keptFor = 5 * 60 * 1000

/** How long a client should wait before it resumes, in milliseconds. */
const retryAfter = 500

/** How many characters of an id may name requests. */
const namedLimit = 256

/** The first revision whose clients take an event without data, which gives them an id before there is a message. */
const firstWithEmptyEvents = "2025-11-25"

interface Options {
  /** What the ids of its events begin with. No other stream has it, in this process or another. */
  readonly prefix: string
  readonly streams: EventStreams
  readonly kept: SessionMessages
  /** The requests that were written to the streams of the client. */
  readonly requests: SentRequests
  /** Called when a client resumes that has not read messages that were forgotten. */
  readonly onGap: () => void
  readonly hasEmptyEvents: boolean
  /** Monotonic time in milliseconds. */
  readonly now: () => number
}

/** A message that is kept. */
interface Kept {
  readonly number: number
  readonly message: string
  readonly isResponse: boolean
}

export class ResumableStream implements Keeper {
  readonly #options: Options
  readonly #messages: Array<Kept> = []
  #response: ServerResponse | undefined
  #last = 0
  #isEnded = false
  #lostAt = 0
  /** The numbers of the latest message that was forgotten, and of the latest response among those. */
  readonly #forgotten = { message: 0, response: 0 }
  /** How many characters are kept. */
  size = 0

  constructor(options: Options) {
    this.#options = options
  }

  /** Whether there is a response that messages can be written to. */
  get isOpen(): boolean {
    return this.#response?.destroyed === false && !this.#response.writableEnded
  }

  /** Whether its last message was sent. */
  get isEnded(): boolean {
    return this.#isEnded
  }

  /** Whether the stream can no longer be resumed. */
  get isOver(): boolean {
    return !this.isOpen && this.#options.now() - this.#lostAt > keptFor
  }

  /** Writes to a response from now on. The one before it ends. */
  attach(response: ServerResponse): void {
    const { hasEmptyEvents, now, prefix, streams } = this.#options
    const before = this.#response
    this.#response = response
    before?.destroy()
    streams.begin(response)
    response.write(
      hasEmptyEvents ? `retry: ${retryAfter}\nid: ${prefix}-${this.#last}\ndata: \n\n` : `retry: ${retryAfter}\n\n`
    )
    onClosed(response, () => {
      if (this.#response === response) this.#lostAt = now()
    })
  }

  /** Writes no more to a response, and leaves it open. */
  detach(response: ServerResponse): void {
    if (this.#response !== response) return
    this.#response = undefined
    this.#lostAt = this.#options.now()
  }

  /** Sends a message, if there is a response. */
  send(message: Outgoing): boolean {
    const text = textOf(message)
    const number = this.#last + 1
    if (!this.#write(number, text)) return false
    if (isRequest(message)) this.#options.requests.add({ stream: this.#options.prefix, number, request: message })
    this.#keep({ number, message: text, isResponse: false })
    return true
  }

  /** Sends a response, or keeps it until the client resumes. */
  settle(message: string): void {
    const number = this.#last + 1
    this.#write(number, message)
    this.#keep({ number, message, isResponse: true })
  }

  /** No message comes after those that were sent. */
  end(): void {
    this.#isEnded = true
    if (this.isOpen) this.#response?.end()
    else this.#lostAt = this.#options.now()
  }

  /**
   * Goes on with another response, after a message. Returns what is wrong if that is not possible: `forgotten` if the client has not read a response
   * that is not kept.
   */
  resume(after: number, response: ServerResponse): "forgotten" | "over" | "unknown" | undefined {
    const { onGap, prefix, requests } = this.#options
    if (after > this.#last) return "unknown"
    requests.lose({ stream: prefix, after, isKept: (one) => this.#messages.some(({ number }) => number === one) })
    if (after < this.#forgotten.response) return "forgotten"
    const missed = this.#messages.filter(({ number }) => number > after)
    if (this.#isEnded && missed.length === 0) return "over"
    this.attach(response)
    for (const { message, number } of missed) this.#write(number, message)
    if (this.#isEnded) response.end()
    if (after < this.#forgotten.message) onGap()
    return undefined
  }

  /** Forgets the messages. */
  forget(): void {
    while (this.#messages.length > 0) this.#drop()
  }

  #keep(kept: Kept): void {
    this.#last = kept.number
    // The others stay if one is longer than all may be.
    if (kept.message.length > streamLimit) return this.#noteForgotten(kept)
    this.#messages.push(kept)
    this.size += kept.message.length
    this.#options.kept.add(this, kept.message.length)
    while (this.#messages.length > messageLimit || this.size > streamLimit) this.#drop()
  }

  #drop(): void {
    const dropped = this.#messages.shift()
    if (dropped === undefined) return
    this.#noteForgotten(dropped)
    this.size -= dropped.message.length
    this.#options.kept.remove(this, dropped.message.length)
  }

  #noteForgotten({ isResponse, number }: Kept): void {
    this.#forgotten.message = Math.max(this.#forgotten.message, number)
    if (isResponse) this.#forgotten.response = Math.max(this.#forgotten.response, number)
  }

  /** Writes a message, if there is a response that takes it. */
  #write(number: number, message: string): boolean {
    const { prefix, streams } = this.#options
    return this.#response !== undefined && streams.send(this.#response, message, `${prefix}-${number}`)
  }
}

/** The id of an event: of which session at which process, of which kind of stream, its number, the requests that it is for, and the message. */
const eventId = /^([\da-f]{12})-([\da-f]{12})-([cr])(\d{1,9})(?:\.([\w-]{1,256}?))?-(\d{1,9})$/

const decodeIds = Schema.decodeUnknownOption(
  Schema.StringFromBase64Url.pipe(
    Schema.decodeTo(Schema.fromJsonString(Schema.Array(Schema.Union([Schema.String, Schema.Finite]))))
  )
)

/** Requests whose responses are lost, by their ids, and why. */
export interface Lost {
  readonly ids: ReadonlyArray<RpcId>
  readonly error: RpcError
}

/** A resumed stream, or the reason why it cannot be resumed. The ids are those of requests whose responses are lost. */
type Resumed = ResumableStream | Lost | "elsewhere" | "over" | "unknown"

/** The stream of the requests of a POST, by their ids. */
interface RequestStream {
  readonly stream: ResumableStream
  readonly of: ReadonlyArray<RpcId>
}

/** The resumable streams of one session: that of the client, and those for the requests of its POSTs. */
export class ResumableStreams {
  readonly #options: Omit<Options, "hasEmptyEvents" | "prefix" | "requests">
  readonly #sent = new SentRequests()
  readonly #hasEmptyEvents: boolean
  readonly #requests = new Map<number, RequestStream>()
  #ofClient: { readonly number: number; readonly stream: ResumableStream } | undefined
  /** What the ids of all streams of the session begin with, at any process. */
  readonly #name: string
  /** Distinguishes the streams of this session from its streams at other processes. */
  readonly session = Crypto.randomBytes(6).toString("hex")
  #last = 0

  constructor({ name, protocolVersion, ...options }: Omit<Options, "hasEmptyEvents" | "prefix" | "requests"> & {
    readonly name: string
    readonly protocolVersion: string
  }) {
    this.#options = options
    this.#name = Crypto.createHash("sha256").update(name).digest("hex").slice(0, 12)
    this.#hasEmptyEvents = protocolVersion >= firstWithEmptyEvents
  }

  /** Whether a client has an id to resume with as soon as a stream begins. */
  get areResumableAtOnce(): boolean {
    return this.#hasEmptyEvents
  }

  /** The stream of the client, until it is left for too long. */
  get ofClient(): ResumableStream | undefined {
    return this.#ofClient?.stream
  }

  /** Opens the stream of the client: continues the existing stream, or begins a new one. */
  openOfClient(response: ServerResponse): ResumableStream {
    if (this.#ofClient === undefined) {
      const number = ++this.#last
      this.#ofClient = { number, stream: this.#make(`c${number}`) }
    }
    const { stream } = this.#ofClient
    stream.attach(response)
    return stream
  }

  /** Begins a stream for the requests of a POST, by their ids. */
  begin(response: ServerResponse, of: ReadonlyArray<RpcId>): ResumableStream {
    const number = ++this.#last
    const named = `.${Buffer.from(JSON.stringify(of)).toString("base64url")}`
    const stream = this.#make(`r${number}${named.length > namedLimit ? "" : named}`)
    this.#requests.set(number, { stream, of })
    stream.attach(response)
    this.#forgetSome()
    return stream
  }

  /**
   * Goes on with a stream, by the id of the last message that the client has. Returns why that is not possible: `elsewhere` for the stream of the
   * client that another process had, and the requests whose responses are lost.
   */
  resume(lastEventId: string, response: ServerResponse): Resumed {
    const [, client, session, kind, number, named, message] = eventId.exec(lastEventId) ?? []
    if (client !== this.#name) return "unknown"
    if (session !== this.session) {
      if (kind === "c") return "elsewhere"
      const ids = Option.getOrUndefined(decodeIds(named))
      return ids === undefined ? "unknown" : { ids, error: outcomeLost }
    }
    const requests = this.#requests.get(Number(number))
    const stream = this.#ofClient?.number === Number(number) ? this.ofClient : requests?.stream
    if (stream === undefined) {
      this.#sent.lose({
        stream: lastEventId.slice(0, lastEventId.lastIndexOf("-")),
        after: Number(message),
        isKept: () => false
      })
      return "unknown"
    }
    const fault = stream.resume(Number(message), response)
    if (fault !== "forgotten") return fault ?? stream
    const ids = requests?.of ?? []
    // Which responses of several the client has not read is not known.
    return ids.length === 1 ? { ids, error: responseNotKept } : "unknown"
  }

  /** Forgets streams that were left. */
  sweep(): void {
    for (const [number, { stream }] of this.#requests) if (stream.isOver) this.#remove(number, stream)
    if (this.ofClient?.isOver === true) this.#removeOfClient()
  }

  /** Ends all streams, and forgets them. */
  close(): void {
    for (const [number, { stream }] of this.#requests) {
      stream.end()
      this.#remove(number, stream)
    }
    this.ofClient?.end()
    this.#removeOfClient()
  }

  #make(kind: string): ResumableStream {
    const prefix = `${this.#name}-${this.session}-${kind}`
    return new ResumableStream({ ...this.#options, prefix, requests: this.#sent, hasEmptyEvents: this.#hasEmptyEvents })
  }

  /** Forgets streams without a response while there are too many: those that have ended before those whose requests are in flight. */
  #forgetSome(): void {
    for (const isEnded of [true, false]) {
      for (const [number, { stream }] of this.#requests) {
        if (this.#requests.size <= requestLimit) return
        if (!stream.isOpen && stream.isEnded === isEnded) this.#remove(number, stream)
      }
    }
  }

  #remove(number: number, stream: ResumableStream): void {
    stream.forget()
    this.#requests.delete(number)
  }

  #removeOfClient(): void {
    this.ofClient?.forget()
    this.#ofClient = undefined
  }
}
