/**
 * Answers results of 2026-07-28 that ask for input, with the SDK's client: it runs the handlers, and sends the request again with their
 * answers and the state of the server, until the request is done.
 *
 * The client is made to send the request as if for the first time, with the received result attached to the params under a symbol. The
 * transport answers that one locally, so that the first round is not sent twice.
 *
 * @see https://modelcontextprotocol.io/specification/2026-07-28/basic/patterns/mrtr
 */
import type { OutgoingRequest } from "@mcp-sessions/core/Connection"
import { InvalidResult, type RequestReason } from "@mcp-sessions/core/SessionError"
import type { StandardSchemaV1, Transport } from "@modelcontextprotocol/client"
import * as Exit from "effect/Exit"
import type { FulfilInput } from "../modern/modernCodec.ts"
import type { AskableClient } from "./clientHandlers.ts"
import { noTimeout } from "./connecting.ts"

/** A received result that the client has not seen. */
const replay: unique symbol = Symbol("replay")

interface Received {
  readonly request: OutgoingRequest
  /** `undefined` once the client has received it. The client copies params for later rounds, this reference with them. */
  result: Record<string, unknown> | undefined
}

/** Results are typed for the reader, not parsed. */
const unparsed: StandardSchemaV1<unknown, unknown> = {
  "~standard": { version: 1, vendor: "mcp-sessions", validate: (value) => ({ value }) }
}

/** Makes a transport answer requests of the client that carry a received result. */
const answerLocally = (transport: Transport, client: AskableClient): void => {
  const send = transport.send.bind(transport)
  transport.send = (message, options) => {
    const params = "method" in message && "id" in message ? message.params : undefined
    const received = (params as { readonly [replay]?: Received } | undefined)?.[replay]
    const result = received?.result
    if (received === undefined || result === undefined || !("id" in message) || message.id === undefined) {
      return send(message, options)
    }
    received.result = undefined
    client.asking = received.request
    transport.onmessage?.({ jsonrpc: "2.0", id: message.id, result })
    return Promise.resolve()
  }
}

/** Makes the function that fulfils input for requests of one connection. */
export const makeFulfilInput = (options: {
  readonly client: AskableClient
  readonly transport: Transport
  readonly reasonOf: (error: unknown, method: string) => RequestReason
}): FulfilInput => {
  const { client, reasonOf, transport } = options
  let isPrepared = false
  return ({ onEnd, params, request, result }) => {
    if (!isPrepared) answerLocally(transport, client)
    isPrepared = true
    const { method, onProgress } = request
    const abort = new AbortController()
    const received: Received = { request, result }
    client.request({ method, params: { ...params, [replay]: received } }, unparsed, {
      signal: abort.signal,
      timeout: noTimeout,
      ...(onProgress === undefined ? {} : { onprogress: onProgress })
    }).then(
      (value) => onEnd(Exit.succeed(value)),
      (error: unknown) => {
        const reason = reasonOf(error, method)
        // The server has answered: with a question that this client cannot.
        onEnd(Exit.fail(
          reason._tag === "Unsupported"
            ? new InvalidResult({ method, description: reason.description, cause: error })
            : reason
        ))
      }
    )
    return () => abort.abort()
  }
}
