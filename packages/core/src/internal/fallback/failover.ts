/**
 * Failover: runs an operation on the next fit server until it ends for good or all servers have failed.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { ConfigError, InvalidValue } from "../../ConfigError.ts"
import { AllServersFailed, type FallbackOptions, inOrder } from "../../FallbackPolicy.ts"
import * as RetryPolicy from "../../RetryPolicy.ts"
import type { Session } from "../../Session.ts"
import type { SessionError } from "../../SessionError.ts"
import * as monotonic from "../monotonic.ts"
import { guardTelemetry } from "../telemetry/guard.ts"
import { arrange, fewestFailures, type Found, nextFit, notTried } from "./candidates.ts"
import type { Failure, FallbackPort, FallbackServer } from "./fallbackPort.ts"
import { hedge } from "./hedge.ts"
import { ejectUnfit } from "./outlierReports.ts"
import { usingUnfit } from "./panicMode.ts"
import { type Attempted, run, runOnce } from "./serverAttempt.ts"

/** Finds the named servers, each once. */
export const findAll = (options: { readonly port: FallbackPort; readonly servers: ReadonlyArray<string> }) =>
  Effect.forEach(new Set(options.servers), options.port.find)

/** One operation on its way over the servers. */
class Failover<A, E, R> {
  readonly #port: FallbackPort
  readonly #owner: string
  readonly #retry: RetryPolicy.RetryPolicy
  readonly #hedgeAfter: Duration.Input | undefined
  readonly #operation: (session: Session) => Effect.Effect<A, E, R>
  readonly #servers: ReadonlyArray<FallbackServer>
  readonly #errors = new Map<FallbackServer, SessionError>()

  constructor(options: {
    readonly port: FallbackPort
    readonly options: FallbackOptions
    readonly operation: (session: Session) => Effect.Effect<A, E, R>
    readonly servers: ReadonlyArray<FallbackServer>
  }) {
    const { hedgeAfter, owner = "default", retry = RetryPolicy.never } = options.options
    this.#port = options.port
    this.#owner = owner
    this.#retry = retry
    this.#hedgeAfter = hedgeAfter
    this.#operation = options.operation
    this.#servers = options.servers
  }

  /** Runs the operation on the first fit server of `left`, and on those after it. */
  run(left: ReadonlyArray<FallbackServer>): Effect.Effect<Attempted<A, E>, never, R> {
    return Effect.suspend(() => {
      const found = nextFit(left)
      const ejecting = ejectUnfit({ port: this.#port, servers: left, owner: this.#owner })
      const attempted = found === undefined
        ? this.#panic()
        : this.#hedgeAfter === undefined || nextFit(found.rest) === undefined
        ? this.#alone(found)
        : this.#hedged(found, this.#hedgeAfter)
      return ejecting === Effect.void ? attempted : Effect.andThen(ejecting, attempted)
    })
  }

  #attempt(server: FallbackServer, commit?: Effect.Effect<void>) {
    return {
      port: this.#port,
      server,
      owner: this.#owner,
      retry: this.#retry,
      operation: this.#operation,
      commit
    }
  }

  #alone({ rest, server }: Found): Effect.Effect<Attempted<A, E>, never, R> {
    return Effect.flatMap(run(this.#attempt(server)), (ended) => {
      if (!ended.mayFailOver) return Effect.succeed(ended)
      this.#failOver(server, ended.error, rest)
      return this.run(rest)
    })
  }

  #hedged({ rest, server }: Found, hedgeAfter: Duration.Input): Effect.Effect<Attempted<A, E>, never, R> {
    let rival: Found | undefined
    const hedged = hedge<Attempted<A, E>, R>({
      hedgeAfter,
      isFinal: ({ mayFailOver }) => !mayFailOver,
      first: (commit) => run(this.#attempt(server, commit)),
      second: () => {
        const next = nextFit(rest)
        if (next === undefined || !next.server.state.retryBudget.spend()) return undefined
        rival = next
        return (commit) => run(this.#attempt(next.server, commit))
      }
    })
    return Effect.flatMap(hedged, ({ first, second }) => {
      const left = rival?.rest ?? rest
      const attempts = [[server, first] as const, ...(rival === undefined ? [] : [[rival.server, second] as const])]
      /** Servers whose attempt was cancelled without a failure of theirs. */
      const again: Array<FallbackServer> = []
      for (const [, ended] of attempts) if (ended?.mayFailOver === false) return Effect.succeed(ended)
      for (const [server, ended] of attempts) {
        if (ended?.mayFailOver === true) this.#failOver(server, ended.error, left)
        else again.push(server)
      }
      return this.run([...again, ...left])
    })
  }

  /** Uses the server with the fewest failures if panic mode admits the operation, and gives up otherwise. */
  #panic(): Effect.Effect<Attempted<A, E>, never, R> {
    return Effect.flatMap(monotonic.now, (now) => {
      const left = this.#servers.filter((server) => !this.#errors.has(server))
      const server = fewestFailures(left)
      if (server === undefined || !this.#port.panicMode.admits(left, now)) return this.#giveUp
      return Effect.scoped(Effect.andThen(usingUnfit(server), runOnce(this.#attempt(server)))).pipe(
        Effect.flatMap((ended) => {
          if (!ended.mayFailOver) return Effect.succeed(ended)
          this.#errors.set(server, ended.error)
          return this.#giveUp
        })
      )
    })
  }

  get #giveUp(): Effect.Effect<Attempted<A, E>> {
    return Effect.map(monotonic.wallTime, (now) => ({
      mayFailOver: false,
      exit: Exit.fail(
        new AllServersFailed({
          errors: this.#servers.map((server) =>
            this.#errors.get(server) ?? notTried({ server, owner: this.#owner, now })
          )
        })
      )
    }))
  }

  #failOver(server: FallbackServer, error: SessionError, rest: ReadonlyArray<FallbackServer>): void {
    this.#errors.set(server, error)
    if (rest.length > 0) server.state.telemetry.count("fallbacks")
  }
}

/** Runs an operation on a session of the first fit server, and on the next servers as far as the delivery rule allows. */
export const withFallback = <A, E, R>(parts: {
  readonly port: FallbackPort
  readonly options: FallbackOptions
  readonly operation: (session: Session) => Effect.Effect<A, E, R>
}): Effect.Effect<A, E | Failure | AllServersFailed, R> => {
  const { options: { order = inOrder, servers }, port } = parts
  return Effect.flatMap(findAll({ port, servers }), (found) =>
    Effect.withFiber((fiber) => {
      const clock = fiber.getRef(Clock.Clock)
      return Effect.flatMap(ordered({ servers: found, order, clock }), (arranged) =>
        Effect.flatMap(
          new Failover({ ...parts, servers: arranged }).run(arranged),
          (ended) => (ended as Extract<typeof ended, { mayFailOver: false }>).exit
        ))
    }))
}

/** The order belongs to the program, and may throw or return no list. */
const ordered = (options: Parameters<typeof arrange>[0]): Effect.Effect<ReadonlyArray<FallbackServer>, ConfigError> =>
  Effect.suspend(() => {
    try {
      return Effect.succeed(arrange(options))
    } catch (defect) {
      const bad = new InvalidValue({ path: ["order"], expected: "a function that returns the candidates in an order" })
      return Effect.andThen(
        guardTelemetry(Effect.logError("the servers of a fallback could not be ordered", Cause.die(defect))),
        Effect.fail(new ConfigError({ problems: [bad] }))
      )
    }
  })
