/**
 * Actions: what a page asks for, by the last part of the path. Bodies are checked before anything is done.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Predicate from "effect/Predicate"
import * as exactNumbers from "../exactNumbers.ts"
import { excessOf } from "../jsonRpc/jsonBounds.ts"
import { textOrEmpty } from "../textOrEmpty.ts"
import type { Backend, Failure } from "./backend.ts"
import { resultView, toolViews } from "./resultView.ts"
import { errorView } from "./serverView.ts"

/** A body that is not what the action takes, or a principal that may not do it. */
class Refused {
  readonly status: 400 | 403 | 404
  readonly description: string
  constructor(status: Refused["status"], description: string) {
    this.status = status
    this.description = description
  }
}

/** A request for an action. */
export interface Asked {
  readonly backend: Backend
  readonly principal: string
  readonly body: Readonly<Record<string, unknown>>
  /** Monotonic time in milliseconds. */
  readonly now: () => number
  /** Runs an effect that continues after the request. */
  readonly detach: (effect: Effect.Effect<void>) => void
}

type Action = (asked: Asked) => Effect.Effect<unknown, Refused>

const serverOf = ({ backend, body: { server } }: Asked): Effect.Effect<string, Refused> =>
  Predicate.isString(server) && backend.servers.includes(server)
    ? Effect.succeed(server)
    : Effect.fail(new Refused(404, "the server is unknown"))

/** An action that changes a server for all principals. */
const operate = (run: (asked: Asked, server: string) => Effect.Effect<void, Failure>): Action => (asked) =>
  asked.backend.isOperator(asked.principal)
    ? Effect.flatMap(serverOf(asked), (server) =>
      Effect.match(run(asked, server), {
        onSuccess: () => ({}),
        onFailure: (error) => ({ error: errorView(error) })
      }))
    : Effect.fail(new Refused(403, "only an operator may do this"))

const tools: Action = (asked) =>
  Effect.flatMap(serverOf(asked), (server) =>
    Effect.match(asked.backend.tools(asked.principal, server), {
      onSuccess: (tools) => ({ tools: toolViews(tools) }),
      onFailure: (error) => ({ error: errorView(error) })
    }))

/** Parses the arguments. Numbers that JavaScript cannot represent keep their digits. */
const argsOf = ({ body }: Asked): Effect.Effect<Record<string, unknown>, Refused> =>
  Effect.suspend(() => {
    const text = textOrEmpty(body.arguments)
    const excess = excessOf(text)
    return excess === undefined
      ? Effect.try({
        try: () => exactNumbers.parseRaw(text),
        catch: () => new Refused(400, "the arguments are not JSON")
      })
      : Effect.fail(new Refused(400, `the arguments: the text ${excess}`))
  }).pipe(
    Effect.filterOrFail(
      (args): args is Record<string, unknown> => Predicate.isObject(args) && !Array.isArray(args),
      () => new Refused(400, "the arguments are not an object")
    )
  )

const call: Action = (asked) =>
  Effect.gen(function*() {
    const { backend, body: { tool }, now, principal } = asked
    const server = yield* serverOf(asked)
    if (!Predicate.isString(tool)) return yield* Effect.fail(new Refused(400, "the tool has no name"))
    const args = yield* argsOf(asked)
    const startedAt = now()
    const exit = yield* Effect.exit(backend.call({ principal, server, tool, args }))
    // The page has closed the request.
    if (Exit.hasInterrupts(exit)) return yield* Effect.interrupt
    return resultView(exit, now() - startedAt)
  })

export const actions: ReadonlyMap<string, Action> = new Map([
  ["tools", tools],
  ["call", call],
  ["restart", operate(({ backend }, server) => backend.restart(server))],
  ["eject", operate(({ backend }, server) => backend.eject(server))],
  ["readmit", operate(({ backend }, server) => backend.readmit(server))],
  // A sign-in can take minutes. The state of the server shows the page that it has ended.
  [
    "sign-in",
    operate(({ backend, detach }, server) =>
      Effect.sync(() =>
        detach(Effect.catch(
          // Reconnects the connections that wait for the sign-in.
          Effect.andThen(backend.signIn(server), backend.restart(server)),
          (error) => Effect.logWarning(`the sign-in to ${server} failed`, error)
        ))
      )
    )
  ]
])
