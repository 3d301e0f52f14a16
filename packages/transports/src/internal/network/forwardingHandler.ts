/**
 * Passes on what becomes of an HTTP request. Subclasses look at some of it.
 */
import type { HttpController, HttpHandler, HttpHead } from "../../HttpClient.ts"

export class ForwardingHandler implements HttpHandler {
  readonly #handler: HttpHandler

  constructor(handler: HttpHandler) {
    this.#handler = handler
  }

  onRequestStart(controller: HttpController): void {
    this.#handler.onRequestStart(controller)
  }

  onResponseStart(controller: HttpController, status: number, headers: HttpHead["headers"]): void {
    this.#handler.onResponseStart(controller, status, headers)
  }

  onResponseData(controller: HttpController, chunk: Uint8Array): void {
    this.#handler.onResponseData(controller, chunk)
  }

  onResponseEnd(controller: HttpController): void {
    this.#handler.onResponseEnd(controller)
  }

  onResponseError(controller: HttpController, error: Error): void {
    this.#handler.onResponseError(controller, error)
  }
}
