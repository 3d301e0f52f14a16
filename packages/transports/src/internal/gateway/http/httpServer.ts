/**
 * HTTP server: listens until a scope closes. An error after the start, such as of a connection that cannot be accepted, is logged, and the server
 * stays open.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { IncomingMessage, Server, ServerResponse } from "node:http"
import { makeFork } from "../../scopedFork.ts"
import { guarded } from "./defects.ts"
import { answerFailure } from "./http.ts"
import { UnreadResponses } from "./unreadResponses.ts"

/** How long errors of a server are not logged again, in milliseconds. */
const logInterval = 60_000

/** Answers a request. */
export type Handle = (request: IncomingMessage, response: ServerResponse) => void

/** Why a port cannot be listened on: the error code of the system. */
export class CannotListen {
  readonly _tag = "CannotListen"
  readonly host: string
  readonly port: number
  readonly code: string

  constructor({ error, host, port }: {
    readonly host: string
    readonly port: number
    readonly error: NodeJS.ErrnoException
  }) {
    this.host = host
    this.port = port
    this.code = error.code ?? error.name
  }
}

/** The port that a server listens on. */
const portOf = (server: Server, wanted: number): number => {
  const address = server.address()
  return typeof address === "object" && address !== null ? address.port : wanted
}

/**
 * Opens a server, and returns it with its port. An exception of its handler is logged, and answered with 500. The end of the scope closes all its
 * connections.
 */
export const openServer = ({ handlerOf, host, make, maxConnections, port }: {
  readonly host: string
  /** The port; 0 takes a free one. */
  readonly port: number
  readonly make: () => Server
  /** How many sockets may be open. */
  readonly maxConnections: number
  /** Makes the handler of requests once the port is known. */
  readonly handlerOf: (port: number) => Handle
}): Effect.Effect<{ readonly server: Server; readonly port: number }, CannotListen, Scope.Scope> =>
  Effect.gen(function*() {
    const clock = yield* Clock.Clock
    const fork = yield* makeFork
    const logError = (error: NodeJS.ErrnoException): void => {
      const now = Number(clock.monotonicTimeNanosUnsafe() / 1_000_000n)
      if (now - loggedAt < logInterval) return
      loggedAt = now
      fork(Effect.logError(`the HTTP server on ${host}:${port} has an error and stays open: ${error.code ?? error}`))
    }
    let loggedAt = -Infinity
    const unread = new UnreadResponses()
    const server = yield* Effect.acquireRelease(
      Effect.callback<Server, CannotListen>((resume) => {
        const server = make()
        server.maxConnections = maxConnections
        const onFailure = (error: NodeJS.ErrnoException): void =>
          resume(Effect.fail(new CannotListen({ host, port, error })))
        server.once("error", onFailure)
        server.listen({ host, port }, () => {
          server.off("error", onFailure).on("error", logError)
          const handle = handlerOf(portOf(server, port))
          server.on("request", (request, response) => {
            unread.watch(response)
            guarded(
              { fork, doing: "handle a request", onFailure: (error) => answerFailure(response, error) },
              () => handle(request, response)
            )
          })
          resume(Effect.succeed(server))
        })
        return Effect.sync(() => server.close())
      }),
      (server) =>
        Effect.callback<void>((resume) => {
          server.close(() => resume(Effect.void))
          server.closeAllConnections()
        })
    )
    return { server, port: portOf(server, port) }
  })
