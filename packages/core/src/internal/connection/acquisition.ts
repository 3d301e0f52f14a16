/**
 * Acquisition: makes the connection that callers wait for, by one attempt or by the retry policy. Concurrent callers share one attempt.
 */
import type * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type { Authorization } from "../../Authorization.ts"
import type { RetryPolicy } from "../../RetryPolicy.ts"
import type { ServerDefinition } from "../../ServerConfig.ts"
import { SessionClosed, SessionError } from "../../SessionError.ts"
import { spans } from "../../Telemetry.ts"
import type { ServerState } from "../server/serverState.ts"
import { serverAttributes } from "../telemetry/attributes.ts"
import { isContextTraced, withSpan } from "../telemetry/spans.ts"
import type { Connector } from "./connector.ts"
import type { LiveConnection } from "./liveConnection.ts"
import { afterFailure, untilRefused } from "./reconnect.ts"
import { signIn, type SignInHost, withSignIn } from "./signIn.ts"

/** What an acquisition needs of the managed connection. */
export interface AcquisitionHost {
  readonly definition: ServerDefinition
  readonly server: ServerState
  /** The scope of attempts, which outlive their callers. */
  readonly work: Scope.Scope
  /** The context in which connections are made. */
  readonly context: Context.Context<never>
  /** The connection if there is one. */
  readonly current: LiveConnection | undefined
  /** Uses a connection that was made. */
  use(live: LiveConnection): void
  /** Called when the last attempt has failed. */
  gaveUp(): void
}

/** The policy of attempts, and the owner that signs in. */
interface Options {
  readonly retry: RetryPolicy
  readonly peer: { readonly owner: string }
  /** Signs the owner in; `undefined` if the program has no such service. */
  readonly authorization: Authorization["Service"] | undefined
}

/** A connection that is being made: by one attempt, or by the retry policy. */
interface Connecting {
  readonly connected: Deferred.Deferred<LiveConnection, SessionError>
  readonly isRetried: boolean
  /** Whether it probes the server of an open circuit. Callers are refused meanwhile. */
  readonly isProbe: boolean
}

export class Acquisition {
  readonly #host: AcquisitionHost
  readonly #connector: Connector
  readonly #options: Options
  #connecting: Connecting | undefined
  #fiber: Fiber.Fiber<unknown, unknown> | undefined
  #isClosed = false

  /** The failure of the latest attempts, if they failed. */
  lastFailure: SessionError | undefined

  constructor({ connector, host, options }: {
    readonly host: AcquisitionHost
    readonly connector: Connector
    readonly options: Options
  }) {
    this.#host = host
    this.#connector = connector
    this.#options = options
  }

  /** The open connection, or a new one. */
  acquire({ first, isProbe = false, isRetried }: {
    readonly isRetried: boolean
    readonly isProbe?: boolean
    readonly first?: SessionError
  }): Effect.Effect<LiveConnection, SessionError> {
    const host = this.#host
    // Interruptible while waiting, but not between announcing an attempt and starting it.
    return Effect.uninterruptibleMask((restore) =>
      Effect.suspend(() => {
        if (this.#isClosed) return Effect.fail(this.#closed())
        if (host.current !== undefined) return Effect.succeed(host.current)
        const current = this.#connecting
        if (current !== undefined) {
          if (current.isProbe && !isProbe) {
            return Effect.flatMap(
              host.server.circuitBreaker.refusal,
              (reason) => Effect.fail(new SessionError({ server: host.definition.name, reason }))
            )
          }
          const joined = restore(Deferred.await(current.connected))
          // The failed attempt that was joined counts as the first of this caller.
          return current.isRetried || !isRetried
            ? joined
            : Effect.catchIf(joined, () =>
              !this.#isClosed, (error) =>
              restore(this.acquire({ isRetried: true, first: error })))
        }
        const connecting: Connecting = { connected: Deferred.makeUnsafe(), isProbe, isRetried }
        this.#connecting = connecting
        const { attempt } = this.#connector
        const one = isProbe ? attempt : withSignIn(this.#signIn, attempt)
        const attempts = isRetried ? this.#retried(one, first) : one
        return Effect.andThen(this.#start(attempts, connecting), restore(Deferred.await(connecting.connected)))
      })
    )
  }

  /** Signs the owner in after the server has refused a request for lack of credentials. */
  signIn(refusal: SessionError): Effect.Effect<void, SessionError> {
    return signIn(this.#signIn, refusal)
  }

  /** Fails the callers that wait, and lets no attempt start again. */
  close(): void {
    this.#isClosed = true
    const connecting = this.#connecting
    this.#connecting = undefined
    if (connecting !== undefined) Deferred.doneUnsafe(connecting.connected, Effect.fail(this.#closed()))
  }

  /** Interrupts the attempt in progress, and waits for its end. */
  get interrupted(): Effect.Effect<void> {
    return Effect.suspend(() => this.#fiber === undefined ? Effect.void : Fiber.interrupt(this.#fiber))
  }

  get #signIn(): SignInHost {
    const { authorization, peer: { owner } } = this.#options
    const { definition, server } = this.#host
    return { authorization, definition, owner, onEnd: () => server.changed() }
  }

  #closed(): SessionError {
    return new SessionError({ server: this.#host.definition.name, reason: new SessionClosed() })
  }

  #retried(attempt: Effect.Effect<LiveConnection, SessionError>, first: SessionError | undefined) {
    const policy = untilRefused({ policy: this.#options.retry, breaker: this.#host.server.circuitBreaker })
    return Effect.retry(afterFailure({ first, effect: attempt }), policy)
  }

  #start(attempts: Effect.Effect<LiveConnection, SessionError>, connecting: Connecting): Effect.Effect<void> {
    const host = this.#host
    const connect = isContextTraced(host.context)
      ? withSpan(attempts, { name: spans.connect.name, kind: "client", attributes: serverAttributes(host.definition) })
      : attempts
    return connect.pipe(
      Effect.onExit((exit) =>
        Effect.sync(() => {
          this.#connecting = undefined
          this.lastFailure = Option.getOrUndefined(Exit.findErrorOption(exit))
          if (Exit.isSuccess(exit)) host.use(exit.value)
          // The caller of a single attempt may try again.
          else if (connecting.isRetried || connecting.isProbe) host.gaveUp()
        })
      ),
      Deferred.into(connecting.connected),
      Effect.updateContext((_: Context.Context<never>) => host.context),
      Effect.forkIn(host.work, { startImmediately: true }),
      Effect.map((fiber) => {
        this.#fiber = fiber
      })
    )
  }
}
