/**
 * Client log: the minimum log level of one client, and the sessions at servers that receive it.
 *
 * The level is sent to all servers in parallel with a timeout, so a server that does not answer delays no other server.
 *
 * @see https://modelcontextprotocol.io/specification/2025-11-25/server/utilities/logging#setting-log-level
 */
import { type LogLevel, logLevels } from "@mcp-sessions/core/Notification"
import type { Session } from "@mcp-sessions/core/Session"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"

/** Timeout of `logging/setLevel` at a server. Requests to that server wait for it as long. */
const answerTimeout = "5 seconds"

/** Whether a level is another one or more severe. */
export const isAtLeast = (level: LogLevel, lowest: LogLevel): boolean =>
  logLevels.indexOf(level) >= logLevels.indexOf(lowest)

/** Reads a level. */
export const levelOf = (value: unknown): LogLevel | undefined => logLevels.find((level) => level === value)

export class ClientLog {
  readonly #scope: Scope.Scope
  readonly #onChange: () => void
  /** What sends the level to the sessions that have not answered yet. */
  readonly #sending = new Map<Session, Fiber.Fiber<void>>()
  #level: LogLevel | undefined

  /** Servers are told until `scope` closes. `onChange` is called when the level has changed. */
  constructor({ onChange, scope }: { readonly scope: Scope.Scope; readonly onChange: () => void }) {
    this.#scope = scope
    this.#onChange = onChange
  }

  /** The level; `undefined` until the client sets one. */
  get level(): LogLevel | undefined {
    return this.#level
  }

  /** Sets the level, and starts to send it to the sessions. Does not wait for them. */
  set(level: LogLevel, sessions: Iterable<Session>): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.#level = level
      this.#onChange()
      return Effect.forEach(sessions, (session) => this.#start(session), { discard: true })
    })
  }

  /** Tells the level to a session, and waits for its answer for 5 seconds at most. */
  tell(session: Session): Effect.Effect<void> {
    return this.#level === undefined ? Effect.void : Effect.andThen(this.#start(session), this.told(session))
  }

  /** Whether the level is being sent to a session. */
  isTelling(session: Session): boolean {
    return this.#sending.has(session)
  }

  /** Waits until a session has answered that it has the level, for 5 seconds at most. */
  told(session: Session): Effect.Effect<void> {
    return Effect.suspend(() => {
      const sending = this.#sending.get(session)
      return sending === undefined
        ? Effect.void
        : Effect.asVoid(Effect.timeoutOption(Fiber.await(sending), answerTimeout))
    })
  }

  #start(session: Session): Effect.Effect<void> {
    return Effect.suspend(() => {
      // What is sending goes on with the latest level.
      if (this.#sending.has(session)) return Effect.void
      return Effect.map(Effect.forkIn(this.#send(session), this.#scope, { startImmediately: true }), (fiber) => {
        this.#sending.set(session, fiber)
        fiber.addObserver(() => this.#sending.delete(session))
      })
    })
  }

  /** Sends the level until the session has the latest one. */
  #send(session: Session): Effect.Effect<void> {
    return Effect.suspend(() => {
      const level = this.#level
      if (level === undefined) return Effect.void
      return session.setLogLevel(level).pipe(
        Effect.timeout(answerTimeout),
        Effect.catch((error) => Effect.logDebug(`${session.server} did not take the log level ${level}`, error)),
        Effect.andThen(Effect.suspend(() => level === this.#level ? Effect.void : this.#send(session)))
      )
    })
  }
}
