/**
 * Sends an HTTP request and reads the whole response, within a limit of time and size.
 */
import { Buffer } from "node:buffer"
import { clearTimeout, setTimeout } from "node:timers"
import type { HttpConnections, HttpController, HttpHandler, HttpHead, HttpRequest } from "../../HttpClient.ts"

/** A response that has been read. */
export interface WholeResponse extends HttpHead {
  readonly body: Buffer
}

interface Limits {
  /** How long the request may take, in milliseconds. */
  readonly timeout: number
  /** How many bytes of the body are read. */
  readonly maxBytes: number
}

/** Collects a response. */
class Collector implements HttpHandler {
  readonly #limits: Limits
  readonly #resolve: (response: WholeResponse) => void
  readonly #reject: (error: Error) => void
  readonly #timer: NodeJS.Timeout
  readonly #chunks: Array<Uint8Array> = []
  #controller: HttpController | undefined
  #giveUp: (() => void) | undefined
  #head: HttpHead = { status: 0, headers: {} }
  #size = 0
  #isOver = false

  constructor(options: {
    readonly limits: Limits
    readonly resolve: (response: WholeResponse) => void
    readonly reject: (error: Error) => void
  }) {
    this.#limits = options.limits
    this.#resolve = options.resolve
    this.#reject = options.reject
    this.#timer = setTimeout(() => this.#fail(new Error("the response takes too long")), this.#limits.timeout)
  }

  send(connections: HttpConnections, request: HttpRequest): void {
    this.#giveUp = connections.send(request, this)
  }

  onRequestStart(controller: HttpController): void {
    this.#controller = controller
    if (this.#isOver) controller.abort(new Error("the request is over"))
  }

  onResponseStart(_: HttpController, status: number, headers: HttpHead["headers"]): void {
    this.#head = { status, headers }
  }

  onResponseData(_: HttpController, chunk: Uint8Array): void {
    if (this.#isOver) return
    this.#size += chunk.byteLength
    if (this.#size > this.#limits.maxBytes) return this.#fail(new Error("the body is too large"))
    this.#chunks.push(chunk)
  }

  onResponseEnd(): void {
    if (this.#isOver) return
    this.#finish()
    this.#resolve({ ...this.#head, body: Buffer.concat(this.#chunks) })
  }

  onResponseError(_: HttpController, error: Error): void {
    if (this.#isOver) return
    this.#finish()
    this.#reject(error)
  }

  #fail(error: Error): void {
    this.#finish()
    this.#reject(error)
    if (this.#controller === undefined) this.#giveUp?.()
    else this.#controller.abort(error)
  }

  #finish(): void {
    this.#isOver = true
    clearTimeout(this.#timer)
  }
}

/** Sends a request. Rejects if there is no response within the limits. */
export const readWhole = (
  options: Limits & { readonly connections: HttpConnections; readonly request: HttpRequest }
): Promise<WholeResponse> =>
  new Promise((resolve, reject) => {
    new Collector({ limits: options, resolve, reject }).send(options.connections, options.request)
  })
