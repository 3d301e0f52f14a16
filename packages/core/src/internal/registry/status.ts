/**
 * Status of a server: its health, circuit, load and connections, and the changes of these.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import type { CircuitState } from "../../Circuit.ts"
import type { ConnectionState } from "../../ConnectionState.ts"
import * as Health from "../../Health.ts"
import type { Member } from "./registry.ts"

interface Status {
  readonly server: string
  readonly health: Health.HealthReport
  readonly circuit: CircuitState
  readonly inFlight: number
  readonly connections: ReadonlyArray<{
    readonly owner: string
    readonly state: ConnectionState
    readonly inFlight: number
  }>
}

export const statusOf = ({ cores, server, state }: Member): Effect.Effect<Status> =>
  Effect.map(Effect.all([Clock.Clock, state.circuitBreaker.state]), ([clock, circuit]) => ({
    server,
    health: state.report(clock),
    circuit,
    inFlight: state.bulkhead.used,
    connections: Array.from(cores, ({ managed, owner }) => ({
      owner,
      state: managed.state,
      inFlight: managed.current?.inFlight ?? 0
    }))
  }))

/** The current status, and each later one in which the health, the circuit or the state of a connection differs. */
export const statusChanges = (member: Member): Stream.Stream<Status> =>
  Stream.unwrap(Effect.gen(function*() {
    const changed = yield* Queue.sliding<void>(1)
    yield* Effect.acquireRelease(
      Effect.sync(() => member.state.onChange(() => void Queue.offerUnsafe(changed, undefined))),
      (remove) => Effect.sync(remove)
    )
    const read = statusOf(member)
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
  left.connections.every(({ owner, state }, index) =>
    owner === right.connections[index]?.owner && state._tag === right.connections[index].state._tag
  )
