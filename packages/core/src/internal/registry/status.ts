/**
 * Status of a server: its health, circuit, load and connections, and the changes of these.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import type { Authorization, SignInState } from "../../Authorization.ts"
import type { CircuitState } from "../../Circuit.ts"
import type { ConnectionState } from "../../ConnectionState.ts"
import * as Health from "../../Health.ts"
import type { Member } from "./member.ts"

interface Status {
  readonly server: string
  readonly health: Health.HealthReport
  readonly circuit: CircuitState
  readonly inFlight: number
  readonly isDisabled: boolean
  readonly isStateless: boolean
  readonly maxInFlight: number
  readonly maxInFlightTotal: number
  readonly connections: ReadonlyArray<{
    readonly owner: string
    readonly state: ConnectionState
    readonly inFlight: number
    readonly signIn: SignInState
  }>
}

const notNeeded: Effect.Effect<SignInState> = Effect.succeed({ _tag: "NotNeeded" })

/** Whether an owner is signed in. */
export const signInOf = (
  { definition }: Member,
  owner: string,
  authorization: Authorization["Service"] | undefined
): Effect.Effect<SignInState> => authorization === undefined ? notNeeded : authorization.state({ owner, definition })

export const statusOf = (
  member: Member,
  authorization: Authorization["Service"] | undefined
): Effect.Effect<Status> => {
  const { cores, server, state } = member
  return Effect.gen(function*() {
    const clock = yield* Clock.Clock
    const circuit = yield* state.circuitBreaker.state
    const connections = yield* Effect.forEach(
      Array.from(cores),
      ({ managed, owner }) =>
        Effect.map(signInOf(member, owner, authorization), (signIn) => ({
          owner,
          state: managed.state,
          inFlight: managed.current?.inFlight ?? 0,
          signIn
        }))
    )
    return {
      server,
      health: state.report(clock),
      circuit,
      inFlight: state.bulkhead.used,
      isDisabled: member.definition.config.disabled,
      isStateless: member.definition.config.stateless,
      maxInFlight: member.definition.config.maxInFlight,
      maxInFlightTotal: member.definition.config.maxInFlightTotal,
      connections
    }
  })
}

/** The current status, and each later one in which the health, the circuit, the state of a connection or a sign-in differs. */
export const statusChanges = (
  member: Member,
  authorization: Authorization["Service"] | undefined
): Stream.Stream<Status> =>
  Stream.unwrap(Effect.gen(function*() {
    const changed = yield* Queue.sliding<void>(1)
    yield* Effect.acquireRelease(
      Effect.sync(() => member.state.onChange(() => void Queue.offerUnsafe(changed, undefined))),
      (remove) => Effect.sync(remove)
    )
    const read = statusOf(member, authorization)
    // A healthy record becomes stale by itself.
    const stale = Effect.flatMap(
      read,
      ({ health }) =>
        health.isHealthy ? Effect.sleep(Duration.sum(Health.staleAfter, Duration.millis(1))) : Effect.never
    )
    const next = Effect.andThen(Effect.raceFirst(Queue.take(changed), stale), read)
    return Stream.fromEffect(read).pipe(
      Stream.concat(Stream.fromEffectRepeat(next)),
      Stream.changesWith(isSame)
    )
  }))

const isSame = (left: Status, right: Status): boolean =>
  left.health.isHealthy === right.health.isHealthy && left.health.errorCount === right.health.errorCount &&
  left.circuit.state === right.circuit.state && left.connections.length === right.connections.length &&
  left.connections.every(({ owner, signIn, state }, index) => {
    const other = right.connections[index]
    return owner === other?.owner && state._tag === other.state._tag && signIn._tag === other.signIn._tag
  })
