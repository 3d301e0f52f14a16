/**
 * Client output: where the messages to one client go that belong to none of its requests. They go to the stream that the client keeps open, or
 * wait until it opens one. A client on stdio receives all messages on stdout.
 */
import type { ServerResponse } from "node:http"
import { Backlog } from "../streams/backlog.ts"
import type { SessionMessages } from "../streams/keptMessages.ts"
import { lose, type Outgoing, textOf } from "../streams/outgoing.ts"
import { type Lost, ResumableStream, type ResumableStreams } from "../streams/resumableStream.ts"

export class ClientOutput {
  readonly #streams: ResumableStreams
  readonly #backlog: Backlog
  readonly #onGap: () => void
  #isEnded = false
  /** Writes all messages of a client on stdio. */
  channel: ((message: string) => void) | undefined

  /** `onGap` is called when the client has a stream, and messages were lost before. */
  constructor({ kept, onGap, streams }: {
    readonly streams: ResumableStreams
    readonly kept: SessionMessages
    readonly onGap: () => void
  }) {
    this.#onGap = onGap
    this.#streams = streams
    this.#backlog = new Backlog(kept)
  }

  /** Whether messages can be written now. */
  get isOpen(): boolean {
    return this.channel !== undefined || this.#streams.ofClient?.isOpen === true
  }

  /**
   * Opens the stream of the client, and ends the previous response. With an event id, resumes the stream of that event instead.
   * Returns why that is not possible. The stream of the client that another process had begins anew, without the messages since its last event.
   */
  open(response: ServerResponse, lastEventId?: string): Lost | "over" | "unknown" | undefined {
    const resumed = lastEventId === undefined ? "elsewhere" : this.#streams.resume(lastEventId, response)
    if (resumed !== "elsewhere" && !(resumed instanceof ResumableStream)) return resumed
    const opened = resumed === "elsewhere" ? this.#streams.openOfClient(response) : resumed
    const hasGap = this.#backlog.flush((message) => opened.send(message))
    if (hasGap || (lastEventId !== undefined && resumed === "elsewhere")) this.#onGap()
    return undefined
  }

  /** Detaches a response. Another node continues it. */
  release(response: ServerResponse): void {
    this.#streams.ofClient?.detach(response)
  }

  /** Sends a message, if that is possible now. */
  send(message: Outgoing): boolean {
    if (this.channel === undefined) return this.#streams.ofClient?.send(message) === true
    this.channel(textOf(message))
    return true
  }

  /** Keeps a message until the client opens a stream. After the end of the session, nothing is kept. */
  keep(message: Outgoing): void {
    if (this.#isEnded) lose(message)
    else this.#backlog.add(message)
  }

  /** Ends the streams, and drops what waits. */
  end(): void {
    this.#isEnded = true
    this.#streams.close()
    this.#backlog.forget()
  }
}
