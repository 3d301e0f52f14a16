/**
 * Modern requests: runs the requests of revision 2026-07-28 from any transport. A request with answers continues the call that asked.
 */
import type { JSONRPCRequest } from "@modelcontextprotocol/client"
import * as Exit from "effect/Exit"
import * as Predicate from "effect/Predicate"
import * as Crypto from "node:crypto"
import { textOrEmpty } from "../../textOrEmpty.ts"
import type { Dispatcher } from "../call/dispatcher.ts"
import { methodOf } from "../call/methods.ts"
import { interrupt, type Reply } from "../client/clientCall.ts"
import { isAtLeast } from "../client/clientLog.ts"
import type { ClientSession } from "../client/clientSession.ts"
import { offeredPlace } from "../client/taskRequests.ts"
import { codes, encodeError, encodeResult, progressTokenOf, RpcError } from "../protocol/rpc.ts"
import type { SealedIds } from "../protocol/sealedIds.ts"
import { ModernCall } from "./modernCall.ts"
import { logLevelOf, modernCodes, served, serverInfoKey, uncached } from "./modernMessage.ts"

export interface ModernRequestsOptions {
  readonly dispatcher: Dispatcher
  /** Seals the keys of calls that wait for answers. */
  readonly states: SealedIds
  readonly serverInfo: { readonly name: string; readonly version: string }
  /** The path of the endpoint. */
  readonly route: string
}

/** The HTTP status of a response that says why the request failed. */
const statusOf = (exit: Exit.Exit<unknown, RpcError>): number | undefined => {
  const failure = Exit.findErrorOption(exit)
  return failure._tag === "Some" && failure.value.code === modernCodes.capabilityMissing ? 400 : undefined
}

/** The method of a request and what it names, as a digest of one length. */
const requestOf = ({ method, params: { name, uri } = {} }: JSONRPCRequest): string =>
  Crypto.hash("sha256", JSON.stringify([method, name, uri]), "base64")

export class ModernRequests {
  readonly #options: ModernRequestsOptions

  constructor(options: ModernRequestsOptions) {
    this.#options = options
  }

  /** Runs a request, and settles the reply with its outcome or with the questions of the server. Returns the call, if there is one. */
  run(client: ClientSession, { message, principal, reply }: {
    readonly principal: string
    readonly message: JSONRPCRequest
    readonly reply: Reply
  }): ModernCall | undefined {
    const { id, method, params = {} } = message
    const { dispatcher, route, serverInfo, states } = this.#options
    // A state is bound to its request: the answers to one request get no result of another.
    const bound = () => ({ principal, route: `${route} ${requestOf(message)}` })
    const progressToken = progressTokenOf(params)
    const { inputResponses: answers = {}, requestState } = params
    const fail = (code: number, message: string): undefined => {
      reply.settle(encodeError(id, new RpcError({ code, message })))
    }
    if (!Predicate.isObject(answers)) return fail(codes.invalidParams, "inputResponses is not an object")
    if (requestState !== undefined) {
      const key = states.open(textOrEmpty(requestState), bound())
      const parked = key === undefined ? undefined : client.calls.get(key)
      if (!(parked instanceof ModernCall) || !parked.isParked) {
        return fail(codes.invalidParams, "the requestState is not known, or over")
      }
      parked.proceed({ id, progressToken, reply, answers: answers as Record<string, unknown> })
      if (key !== undefined && parked.place?.task?.outcome !== undefined) client.calls.delete(key)
      return parked
    }
    const handle = methodOf(client, method)
    if (handle === undefined) return fail(codes.methodNotFound, `unknown method ${method}`)
    const key = Crypto.randomUUID()
    const seal = () => states.seal(key, bound())
    const logLevel = logLevelOf(message)
    const onExpire = () => {
      client.calls.delete(key)
      interrupt(call)
    }
    const call = new ModernCall({
      later: dispatcher.later,
      seal,
      onExpire,
      answers,
      id,
      logLevel,
      progressToken,
      reply
    })
    const place = call.place = offeredPlace(client, message)
    const ofServer = { [serverInfoKey]: serverInfo }
    if (place !== undefined) {
      place.onBegin = (task) =>
        call.leave(() => encodeResult(call.id, { resultType: "task", ...task.modern, _meta: ofServer }))
    }
    const lowest = client.log.level
    const isLogged = logLevel === undefined || (lowest !== undefined && isAtLeast(logLevel, lowest))
    client.calls.set(key, call)
    dispatcher.start({
      client,
      call,
      method,
      params,
      handle,
      before: isLogged ? undefined : client.log.set(logLevel, client.upstreams.own),
      onEnd: (exit) => {
        const isLeft = dispatcher.endTask(client, call, method, exit)
        if (!isLeft || !call.owesHandle) client.calls.delete(key)
        if (isLeft) return
        const result = Exit.map(exit, (value) => ({
          resultType: "complete",
          ...(value as object),
          ...(served.get(method)?.isCacheable === true ? uncached : {}),
          _meta: { ...(value as { readonly _meta?: object })._meta, ...ofServer }
        }))
        call.settle(dispatcher.encode({ id: call.id, call, method, exit: result }), statusOf(exit))
      }
    })
    return call
  }
}
