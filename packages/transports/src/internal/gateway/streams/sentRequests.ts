/**
 * Sent requests: the requests that were written to the streams of one client, while they wait for their answers. A client that resumes a stream
 * before one of them has not read it.
 */
import type { OutgoingRequest } from "./outgoing.ts"

interface Sent {
  readonly stream: string
  readonly number: number
  readonly request: OutgoingRequest
}

export class SentRequests {
  #sent: ReadonlyArray<Sent> = []

  /** Notes a request. Those that have their answers are forgotten. */
  add(sent: Sent): void {
    this.#sent = [...this.#sent.filter(({ request }) => request.isOpen()), sent]
  }

  /** Ends the requests that were written to a stream after an event, and are not kept. */
  lose({ after, isKept, stream }: {
    readonly stream: string
    readonly after: number
    readonly isKept: (number: number) => boolean
  }): void {
    for (const { number, request, stream: written } of this.#sent) {
      if (written === stream && number > after && !isKept(number)) request.lose()
    }
  }
}
