/**
 * Upstreams: the sessions of one client at the servers. Each is opened by the first request that needs it, with a connection of its own, and
 * closes with the client. Clients share the session of a server that is stateless.
 */
import type { ConfigError } from "@mcp-sessions/core/ConfigError"
import type { Session } from "@mcp-sessions/core/Session"
import { SessionClosed, SessionError } from "@mcp-sessions/core/SessionError"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"

type Failure = SessionError | ConfigError

type Open = (server: string) => Effect.Effect<Session, Failure, Scope.Scope>

const closed = (server: string): Exit.Exit<never, SessionError> =>
  Exit.fail(new SessionError({ server, reason: new SessionClosed() }))

export interface UpstreamOptions {
  /** Opens a session that is the client's alone. */
  readonly open: Open
  /** Gives the session of a server that clients share; `undefined` for a server that keeps state for each. */
  readonly shared: (server: string) => ReturnType<Open> | undefined
  readonly scope: Scope.Scope
  /** Prepares a session of the client's own, before it is used. */
  readonly prepare: (session: Session) => Effect.Effect<void>
  /** Attends to a session of the client's own for as long as it is open. */
  readonly attend: (session: Session) => Effect.Effect<void, never, Scope.Scope>
}

export class Upstreams {
  readonly #options: UpstreamOptions
  readonly #opening = new Map<string, Effect.Effect<Session, Failure>>()
  readonly #ready = new Map<string, Session>()
  readonly #open = new Set<Session>()

  constructor(options: UpstreamOptions) {
    this.#options = options
  }

  /** The open sessions that belong to this client alone. */
  get own(): ReadonlySet<Session> {
    return this.#open
  }

  /** The session at a server, if it is open. */
  ready(server: string): Session | undefined {
    return this.#ready.get(server)
  }

  /**
   * Gives the session at a server. Concurrent callers wait for one connection; after a failure the next caller tries again. Fails with
   * `SessionClosed` once the session of the client has closed.
   */
  get(server: string): Effect.Effect<Session, Failure> {
    return Effect.uninterruptibleMask((restore) =>
      Effect.suspend(() => {
        const ready = this.#ready.get(server)
        if (ready !== undefined) return Effect.succeed(ready)
        const known = this.#opening.get(server)
        if (known !== undefined) return restore(known)
        const opened = Deferred.makeUnsafe<Session, Failure>()
        const waiting = Deferred.await(opened)
        this.#opening.set(server, waiting)
        // Connecting continues if its first caller is interrupted, because other callers may wait for it.
        return Effect.flatMap(
          Effect.forkIn(this.#make(server), this.#options.scope, { startImmediately: true }),
          (fiber) => {
            // An observer also receives the end of a fiber that never started, because the scope had closed.
            fiber.addObserver((exit) => {
              this.#opening.delete(server)
              if (Exit.isSuccess(exit)) this.#ready.set(server, exit.value)
              const isClosed = Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause)
              Deferred.doneUnsafe(opened, isClosed ? closed(server) : exit)
            })
            return restore(waiting)
          }
        )
      })
    )
  }

  #make(server: string): Effect.Effect<Session, Failure> {
    const { attend, open, prepare, scope, shared } = this.#options
    const common = shared(server)
    if (common !== undefined) return Scope.provide(common, scope)
    return Effect.gen({ self: this }, function*() {
      const own = yield* Scope.fork(scope)
      const session = yield* Scope.provide(open(server), own).pipe(
        Effect.onError((cause) => Scope.close(own, Exit.failCause(cause)))
      )
      this.#open.add(session)
      yield* Scope.provide(attend(session), own)
      yield* prepare(session)
      return session
    })
  }
}
