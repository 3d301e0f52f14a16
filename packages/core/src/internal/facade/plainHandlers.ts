/**
 * Client handlers as plain or async functions.
 */
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import { type Handlers, type Origin, type Peer, RequestRefused } from "../../ClientHandlers.ts"
import type {
  CreateMessageParams,
  CreateMessageResult,
  ElicitFormParams,
  ElicitResult,
  ElicitUrlParams,
  Root
} from "../../Mcp.ts"
import type { LogLevel, LogMessage } from "../../Notification.ts"
import { isPlainObject, optional, type Rule, type Rules, rulesOf } from "../config/callOptions.ts"
import { andList } from "../config/nameList.ts"
import { aFunction, anything } from "../config/optionRules.ts"
import type { Signal } from "./promised.ts"

/** The platform's `AbortSignal`, in programs whose platform has one. */
type PlatformSignal = typeof globalThis extends { AbortSignal: { prototype: infer S } } ? S : Signal

/**
 * Origin of a request of a server: the owner and the server of the session, and the call on whose behalf the server asks. `signal`
 * is aborted when the server withdraws the request, or when the call or the connection ends.
 *
 * @category models
 * @since 0.1.0
 */
export interface PlainOrigin extends Origin {
  /** Aborted when the server withdraws the request, or when the call or the connection ends. */
  readonly signal: PlatformSignal
}

/**
 * Handlers of requests that servers send, as plain or async functions. Each one that is present is declared to the server. Throw a
 * `RequestRefused` to refuse a request; the server learns nothing of any other error.
 *
 * @category models
 * @since 0.1.0
 */
export interface PlainHandlers {
  /** Asks a language model for a message. */
  readonly sampling?:
    | ((params: CreateMessageParams, origin: PlainOrigin) => CreateMessageResult | Promise<CreateMessageResult>)
    | undefined
  /** Asks the user by a form; by a form or by sending the user to a URL, where it is an object of both. */
  readonly elicitation?: FormHandler | {
    readonly form?: FormHandler | undefined
    readonly url?: ((params: ElicitUrlParams, origin: PlainOrigin) => ElicitResult | Promise<ElicitResult>) | undefined
  } | undefined
  /** Lists the directories that a server may work in. */
  readonly roots?: ((origin: PlainOrigin) => ReadonlyArray<Root> | Promise<ReadonlyArray<Root>>) | undefined
  /** Receives the log messages of level `info` and above; of `level` and above, where it is an object. */
  readonly logging?: LogHandler | { readonly level: LogLevel; readonly handle: LogHandler } | undefined
  /**
   * Receives the lines that stdio servers write to stderr, secrets removed. It is called while output is read, so it should only take note of the
   * line. What it throws is logged.
   */
  readonly stderr?: ((line: string, peer: Peer) => void) | undefined
}

type FormHandler = (params: ElicitFormParams, origin: PlainOrigin) => ElicitResult | Promise<ElicitResult>
type LogHandler = (message: LogMessage, peer: Peer) => void | Promise<void>

const functionOr = (members: Rules): Rule => ({
  is: optional((value) => Predicate.isFunction(value) || isPlainObject(value)),
  expected: `a function, or an object of ${andList(Array.from(members.keys(), (key) => JSON.stringify(key)))}`,
  members
})

/** The rule of the option. */
export const handlersRule: Rule = {
  is: optional((value) => Predicate.isFunction(value) || isPlainObject(value)),
  expected: "an object of functions, or a function that returns one",
  members: rulesOf<PlainHandlers>({
    elicitation: functionOr(new Map([["form", aFunction], ["url", aFunction]])),
    logging: functionOr(new Map([["handle", aFunction], ["level", anything]])),
    roots: aFunction,
    sampling: aFunction,
    stderr: aFunction
  })
}

const isRefusal = Schema.is(RequestRefused)

/** Runs a function that may throw, reject, or return at once. */
const answer = <A>(
  handle: (origin: PlainOrigin) => A | Promise<A>,
  origin: Origin
): Effect.Effect<A, RequestRefused> =>
  Effect.callback((resume, signal) => {
    Promise.resolve().then(() => handle({ ...origin, signal })).then(
      (answer) => resume(Effect.succeed(answer)),
      (error: unknown) => resume(isRefusal(error) ? Effect.fail(error) : Effect.die(error))
    )
  })

const withParams = <P, A>(handle: ((params: P, origin: PlainOrigin) => A | Promise<A>) | undefined) =>
  handle === undefined
    ? undefined
    : (params: P, origin: Origin) => answer((origin) => handle(params, origin), origin)

/** Makes handlers of plain functions. */
export const handlersOf = ({ elicitation, logging, roots, sampling, stderr }: PlainHandlers): Handlers => {
  const { form, url } = typeof elicitation === "function" ? { form: elicitation } : elicitation ?? {}
  const { handle, level } = typeof logging === "function"
    ? { handle: logging, level: "info" as const }
    : logging ?? { handle: undefined, level: "info" as const }
  return {
    sampling: withParams(sampling),
    elicitation: elicitation === undefined ? undefined : { form: withParams(form), url: withParams(url) },
    roots: roots === undefined ? undefined : (origin) => answer(roots, origin),
    stderr,
    logging: handle === undefined ? undefined : {
      level,
      handle: (message, peer) => Effect.promise(() => Promise.resolve().then(() => handle(message, peer)))
    }
  }
}
