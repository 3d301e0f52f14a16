/**
 * Routing: the interface between a gateway and its router.
 */
import type * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import type { Clients } from "../gateway/client/clients.ts"
import type { ClientSession } from "../gateway/client/clientSession.ts"
import type { Exchange, Router } from "../gateway/client/sessionLocation.ts"
import type { CannotListen } from "../gateway/http/httpServer.ts"
import type { EventStreams } from "../gateway/streams/eventStreams.ts"

/** Handles an exchange with a session of this process. */
type Serve = (client: ClientSession, exchange: Exchange) => void

/** The parts of a gateway that a router uses. */
export interface RoutingHost {
  readonly clients: Clients
  readonly streams: EventStreams
  readonly fork: <A, E>(effect: Effect.Effect<A, E>) => Fiber.Fiber<A, E>
  /** Monotonic time in milliseconds. */
  readonly now: () => number
  /** The time of day in milliseconds since the epoch, which processes agree on. */
  readonly timeOfDay: () => number
  /** The path of the endpoint. Session ids are bound to it. */
  readonly route: string
  readonly keys: ReadonlyArray<Redacted.Redacted<Uint8Array>>
  /** The largest body of a request, in bytes. */
  readonly maxBodyBytes: number
}

/** A router, and its lifetime. */
export interface Routing {
  readonly router: Router
  /** Takes exchanges of other processes until the scope closes. */
  readonly start: (serve: Serve) => Effect.Effect<void, CannotListen, Scope.Scope>
  /** Takes no more of them, and waits for those in flight. */
  readonly drain: Effect.Effect<void>
  /** Whether it is known where sessions are. */
  readonly isReady: () => boolean
}
