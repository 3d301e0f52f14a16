/**
 * Sessions in promises over one runtime: their methods, and the loans of sessions to operations of the program.
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { ConfigError, InvalidValue } from "../../ConfigError.ts"
import type { McpSession } from "../../McpSession.ts"
import type { Session } from "../../Session.ts"
import type { SessionError } from "../../SessionError.ts"
import { BadOptions } from "../config/callOptions.ts"
import { CurrentWrites } from "../request/writes.ts"
import { ClientSession } from "../session/clientSession.ts"
import { effectOptions, rules } from "./effectOptions.ts"
import { Loan } from "./loan.ts"
import { promiseCall, rejected } from "./promiseCall.ts"
import { type PromisedMember, type Runner, sessionOf } from "./promised.ts"
import { type Caller, closeable, fromPromise, iterate, type PromiseRuntime } from "./promiseRuntime.ts"

const noOperation = (server: string): ConfigError =>
  new ConfigError({ problems: [new InvalidValue({ server, path: ["operation"], expected: "a function" })] })

/** The end of a session that is decided elsewhere. */
export const notClosed = () => Promise.resolve()

/** The sessions of one runtime, whose operations fail with `E`. */
export interface PromiseSessions<E> {
  /** Runs the operations of an object in promises. */
  readonly runnerOf: (caller: Caller) => Runner
  /** Makes a session in promises. */
  readonly sessionIn: (source: Session, close: () => Promise<void>) => McpSession
  /** Runs an operation of the program on a session that is lent for its duration. */
  readonly lend: <A>(
    session: Session,
    operation: (session: McpSession) => Promise<A>
  ) => Effect.Effect<A, E | ConfigError>
}

/** `isTyped` tells the errors that an operation of the program may pass on. */
export const promiseSessions = <R, E>({ isTyped, runtime }: {
  readonly runtime: PromiseRuntime<R, E | ConfigError>
  readonly isTyped: (error: unknown) => error is E | ConfigError
}): PromiseSessions<E> => {
  // The table of members leaves no other effects and streams.
  const runnerOf = (caller: Caller): Runner => (make, options, rules) => {
    const { server } = caller
    const checked = effectOptions<object>({ rules, options, server })
    const isBad = checked instanceof BadOptions
    const made = make(isBad ? undefined : checked)
    if (!Stream.isStream(made)) {
      return isBad ? rejected(checked) : runtime.run(made as Effect.Effect<unknown, E | ConfigError>, caller, options)
    }
    // @effect-diagnostics-next-line unsafeEffectTypeAssertion:off
    const stream = made as Stream.Stream<unknown, SessionError>
    return isBad
      ? Stream.toAsyncIterable(Stream.fail(checked.error))
      : iterate({ stream, server, signal: options?.signal })
  }

  const sessionIn = (source: Session, close: () => Promise<void>, loan?: Loan): McpSession => {
    const caller = { server: source.server, loan }
    const session = sessionOf({ source, runner: runnerOf(caller), more: closeable(close) })
    const callTool = (...[tool, args, options]: Parameters<PromisedMember<Session["callTool"]>>) =>
      promiseCall(runtime, {
        caller,
        rules: rules.call,
        tool,
        options,
        call: (checked) => source.callTool(tool, args, checked),
        start: (checked, _, onEnd) =>
          ClientSession.startCall({
            session: source,
            tool,
            args: args ?? {},
            options: checked,
            writes: loan?.writes,
            onEnd
          })
      })
    return Object.defineProperty(session, "callTool", { enumerable: true, value: callTool }) as unknown as McpSession
  }

  const lend: PromiseSessions<E>["lend"] = <A>(session: Session, operation: (session: McpSession) => Promise<A>) =>
    Effect.flatMap(CurrentWrites, (writes): Effect.Effect<A, E | ConfigError> => {
      if (typeof operation !== "function") return Effect.fail(noOperation(session.server))
      const loan = new Loan(writes)
      const done = fromPromise({ run: () => operation(sessionIn(session, notClosed, loan)), isTyped })
      return Effect.ensuring(done, loan.end)
    })

  return { runnerOf, sessionIn, lend }
}
