/**
 * Methods: what the gateway does for each request of a client.
 */
import type { ConfigError } from "@mcp-sessions/core/ConfigError"
import { offersTasks } from "@mcp-sessions/core/Connection"
import type { CompletionReference, Progress, Tool } from "@mcp-sessions/core/Mcp"
import * as Relay from "@mcp-sessions/core/Relay"
import type { CallToolOptions, ProgressOptions, Session } from "@mcp-sessions/core/Session"
import type { SessionError } from "@mcp-sessions/core/SessionError"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Predicate from "effect/Predicate"
import { isMarked } from "../catalog/catalog.ts"
import type { Named, Offer } from "../catalog/offer.ts"
import type { ClientCall } from "../client/clientCall.ts"
import { levelOf } from "../client/clientLog.ts"
import type { ClientSession } from "../client/clientSession.ts"
import { subscribe, unknownResource } from "../client/subscribe.ts"
import { hasLegacyTasks } from "../client/taskRequests.ts"
import { toRpcError } from "../protocol/failures.ts"
import { belowClient, isBelowClient, passedMeta } from "../protocol/passedMeta.ts"
import { codes, encodeNotification, RpcError, type RpcId } from "../protocol/rpc.ts"
import { taskMethods, unrelated } from "./taskMethods.ts"

type Params = Readonly<Record<string, unknown>>

/** A request of a client. */
export interface Context {
  /** What the servers offer to the client. */
  readonly offer: Offer
  readonly client: ClientSession
  readonly call: ClientCall
  readonly params: Params
}

/** Handles the requests of one method. */
export type Method = (context: Context) => Effect.Effect<unknown, RpcError>

const invalid = (message: string): Effect.Effect<never, RpcError> =>
  Effect.fail(new RpcError({ code: codes.invalidParams, message }))

const nothing = Effect.succeed({})

const isTexts = (value: unknown): value is Readonly<Record<string, string>> =>
  Predicate.isObject(value) && Object.values(value).every(Predicate.isString)

/** Uses the session of the client at a server. */
const at = <A>(
  { call, client, params }: Context,
  server: string,
  use: (session: Session) => Effect.Effect<A, SessionError | ConfigError>
): Effect.Effect<A, RpcError> => {
  call.server = server
  // The log messages of the request are those of the level that the client has set before.
  const opened = Effect.tap(client.upstreams.get(server), (session) => client.log.told(session))
  return belowClient(
    params,
    Effect.mapError(
      Effect.flatMap(opened, (session) => {
        call.mayBeSent = true
        return use(session)
      }),
      toRpcError
    )
  )
}

/** What all requests pass on: the `_meta` of the client, the progress of the server if the client wants it, and the ids of the requests upstream. */
const optionsOf = (
  { call, client, params }: Context
): Pick<ProgressOptions, "meta" | "onSent"> & { readonly onProgress?: (progress: Progress) => void } => {
  const { progressToken } = call
  const meta = passedMeta(params)
  const onSent = (id: RpcId) => void call.upstreamIds.push(id)
  return progressToken === undefined ? { meta, onSent } : {
    meta,
    onSent,
    onProgress: (progress) =>
      // A call that takes several POSTs has the token of the latest.
      client.sendFor(
        call,
        encodeNotification("notifications/progress", { ...progress, progressToken: call.progressToken })
      )
  }
}

const isTask = ({ item: { execution } }: Named<Tool>): boolean => execution?.taskSupport === "required"

/** The task option of a call: for one that its client may leave, and for a tool that runs as a task alone. */
const taskOf = (
  { call }: Context,
  tool: Named<Tool>,
  session: Session
): Effect.Effect<Pick<CallToolOptions, "task">, SessionError> => {
  const { place } = call
  if (place === undefined) return Effect.succeed(isTask(tool) ? { task: {} } : {})
  // The era of this session may be another one than that of the session that lists.
  return Effect.map(
    session.connect,
    (info) =>
      offersTasks(info) && (info.era === "modern" || isMarked(tool.item.execution))
        ? { task: { ttl: place.asked, onTask: (report) => place.report(call, report) } }
        : {}
  )
}

const callTool: Method = (context) => {
  const { arguments: args, name } = context.params
  if (!Predicate.isString(name)) return invalid("name is not a text")
  if (args !== undefined && !Predicate.isObject(args)) return invalid("arguments is not an object")
  const tool = context.offer.tool(name)
  if (tool === undefined) return invalid(`no server has the tool ${JSON.stringify(name)}`)
  return at(context, tool.server, (session) =>
    taskOf(context, tool, session).pipe(
      Effect.flatMap((task) =>
        session.callTool(tool.name, args as Record<string, unknown> | undefined, { ...optionsOf(context), ...task })
      ),
      Effect.map(unrelated)
    ))
}

/**
 * Starts a tool call without a fiber, which most calls need not have: the session is open, and nothing stands in the way. `false`: the call has
 * to be handled as others.
 */
export const startTool = (context: Context, { onEnd, onFailure }: {
  readonly onEnd: (exit: Exit.Exit<unknown, RpcError>) => void
  /** Receives the effect that leads to the outcome of a call whose first attempt failed. */
  readonly onFailure: (outcome: Effect.Effect<unknown, RpcError>) => void
}): boolean => {
  const { call, client, offer, params } = context
  if (call.place !== undefined) return false
  const { arguments: args = {}, name } = params
  const tool = Predicate.isString(name) && !isBelowClient(params) ? offer.tool(name) : undefined
  const session = tool === undefined || isTask(tool) ? undefined : client.upstreams.ready(tool.server)
  if (tool === undefined || session === undefined || !Predicate.isObject(args)) return false
  if (client.log.isTelling(session)) return false
  call.server = tool.server
  let isOver = false
  call.mayBeSent = true
  const cancel = Relay.callTool({
    session,
    tool: tool.name,
    args: args as Record<string, unknown>,
    ...optionsOf(context),
    onSuccess: (result) => {
      isOver = true
      call.run = undefined
      onEnd(Exit.succeed(result))
    },
    onFailure: (outcome) => {
      isOver = true
      call.run = undefined
      onFailure(Effect.mapError(outcome, toRpcError))
    }
  })
  if (cancel === undefined) {
    // It has done nothing.
    call.mayBeSent = false
    return false
  }
  if (!isOver) {
    call.run = {
      _tag: "Request",
      cancel: () => {
        call.run = undefined
        cancel()
        onEnd(Exit.interrupt())
      }
    }
  }
  return true
}

const readResource: Method = (context) => {
  const { uri } = context.params
  if (!Predicate.isString(uri)) return invalid("uri is not a text")
  const server = context.offer.serverOf(uri)
  return server === undefined
    ? unknownResource(uri)
    : at(context, server, (session) => session.readResource(uri, optionsOf(context)))
}

const getPrompt: Method = (context) => {
  const { arguments: args, name } = context.params
  if (!Predicate.isString(name)) return invalid("name is not a text")
  if (args !== undefined && !isTexts(args)) return invalid("arguments is not an object of texts")
  const prompt = context.offer.prompt(name)
  return prompt === undefined
    ? invalid(`no server has the prompt ${JSON.stringify(name)}`)
    : at(context, prompt.server, (session) => session.getPrompt(prompt.name, args, optionsOf(context)))
}

/** The server of what is to be completed, and how that server knows it. */
const referenceOf = (
  { offer }: Context,
  ref: Readonly<Record<string, unknown>>
): { readonly server: string; readonly reference: CompletionReference } | undefined => {
  if (ref.type === "ref/prompt" && Predicate.isString(ref.name)) {
    const prompt = offer.prompt(ref.name)
    return prompt === undefined
      ? undefined
      : { server: prompt.server, reference: { type: "ref/prompt", name: prompt.name } }
  }
  if (ref.type !== "ref/resource" || !Predicate.isString(ref.uri)) return undefined
  const server = offer.serverOfTemplate(ref.uri) ?? offer.serverOf(ref.uri)
  return server === undefined ? undefined : { server, reference: { type: "ref/resource", uri: ref.uri } }
}

const complete: Method = (context) => {
  const { argument, context: given, ref } = context.params
  if (!Predicate.isObject(ref) || !Predicate.isObject(argument)) return invalid("ref or argument is not an object")
  const { name, value } = argument as Params
  if (!Predicate.isString(name) || !Predicate.isString(value)) return invalid("argument has no name or no value")
  const known = Predicate.isObject(given) ? (given as Params).arguments : undefined
  if (known !== undefined && !isTexts(known)) return invalid("context.arguments is not an object of texts")
  const found = referenceOf(context, ref as Params)
  if (found === undefined) return invalid("no server has what ref names")
  return Effect.map(
    at(
      context,
      found.server,
      (session) =>
        session.complete(found.reference, { name, value }, { context: known, meta: passedMeta(context.params) })
    ),
    (completion) => ({ completion })
  )
}

const subscribeTo: Method = ({ call, client, params }) => {
  const { uri } = params
  if (!Predicate.isString(uri)) return invalid("uri is not a text")
  call.server = client.lists.offer.serverOf(uri)
  return belowClient(params, Effect.as(subscribe(client, uri), {}))
}

const unsubscribeFrom: Method = ({ client, params: { uri } }) =>
  Predicate.isString(uri) ? Effect.as(client.subscriptions.remove(uri), {}) : invalid("uri is not a text")

const setLevel: Method = ({ client, params }) => {
  const level = levelOf(params.level)
  return level === undefined
    ? invalid("level is not a level of RFC 5424")
    : Effect.as(client.log.set(level, client.upstreams.own), {})
}

const list = (itemsOf: (offer: Offer) => unknown): Method => ({ offer, params: { cursor } }) =>
  // All items are on the first page, which has no cursor for another.
  cursor === undefined ? Effect.sync(() => itemsOf(offer)) : invalid("the cursor is unknown")

/** Shows whether a tool may run as a task to clients that learn of it so. The gateway also runs it in the ordinary way, whatever its server says. */
const offered = ({ client }: Context) => ({ execution: _, ...tool }: Offer["tools"][number]) => {
  const named = hasLegacyTasks(client) ? client.lists.offer.tool(tool.name) : undefined
  return named !== undefined && client.lists.mayBeTask(named)
    ? { ...tool, execution: { taskSupport: "optional" } }
    : tool
}

const listTools: Method = (context) => list(({ tools }) => ({ tools: tools.map(offered(context)) }))(context)

const methods: ReadonlyMap<string, Method> = new Map([
  ["ping", () => nothing],
  ["tools/list", listTools],
  ["tools/call", callTool],
  ["resources/list", list(({ resources }) => ({ resources }))],
  ["resources/templates/list", list(({ resourceTemplates }) => ({ resourceTemplates }))],
  ["resources/read", readResource],
  ["resources/subscribe", subscribeTo],
  ["resources/unsubscribe", unsubscribeFrom],
  ["prompts/list", list(({ prompts }) => ({ prompts }))],
  ["prompts/get", getPrompt],
  ["completion/complete", complete],
  ["logging/setLevel", setLevel]
])

/** The handler of a method for a client; `undefined` if it has none. */
export const methodOf = (client: ClientSession, method: string): Method | undefined =>
  methods.get(method) ??
    (client.isModern
      ? taskMethods.modern.get(method)
      : hasLegacyTasks(client)
      ? taskMethods.legacy.get(method)
      : undefined)
