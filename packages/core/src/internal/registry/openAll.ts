/**
 * Opens the sessions of all servers at once. A server that is slow, mute or missing delays no other.
 */
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { ConfigError } from "../../ConfigError.ts"
import type { Session } from "../../Session.ts"
import { checkedOwner } from "../config/checkedOwner.ts"
import { openAllRules } from "../config/optionRules.ts"
import type { StartGate } from "../connection/startGate.ts"
import type { Member } from "./member.ts"
import type { Failure, Registry } from "./registry.ts"

/** The outcome of opening one server. */
export type Opened =
  | { readonly _tag: "Usable"; readonly server: string; readonly session: Session }
  | { readonly _tag: "Failed"; readonly server: string; readonly error: Failure }

interface Parts<E> {
  readonly registry: Registry
  readonly owner: string
  /** Whether one failure fails the whole, instead of being retried in the background. */
  readonly isStrict: boolean
  readonly toError: (errors: ReadonlyArray<Failure>) => E
}

/** Opens all servers that are not disabled. The sessions are valid as long as the scope in which the stream runs. */
export const openAll = <E>({ options, ...parts }: Pick<Parts<E>, "registry" | "toError"> & {
  readonly options:
    | { readonly owner?: string | undefined; readonly mode?: "strict" | "best-effort" | undefined }
    | undefined
}): Stream.Stream<Opened, E | ConfigError, Scope.Scope> =>
  Stream.fromEffect(Effect.zip(checkedOwner({ options, server: undefined, rules: openAllRules }), Effect.scope)).pipe(
    Stream.mapEffect(([owner, parent]) => start({ ...parts, owner, isStrict: options?.mode === "strict" }, parent)),
    Stream.flatMap((outcomes) => Stream.fromQueue(outcomes))
  )

/** Servers without a process first: they start at no cost, and none of them waits for a process. */
const inOrderOfStart = (members: ReadonlyArray<Member>): ReadonlyArray<Member> => {
  const isProcess = ({ definition: { config } }: Member) => config.transport === "stdio"
  return [...members.filter((member) => !isProcess(member)), ...members.filter(isProcess)]
}

const start = <E>(options: Parts<E>, parent: Scope.Scope) =>
  Effect.gen(function*() {
    const { isStrict, owner, registry, toError } = options
    const scope = yield* Scope.fork(parent)
    const outcomes = yield* Queue.unbounded<Opened, E | Cause.Done>()
    const gate = registry.startGate()
    const open = (member: Member) =>
      Effect.matchEffect(Scope.provide(openOne(options, member, gate), scope), {
        onSuccess: (session) =>
          Effect.as(Queue.offer(outcomes, { _tag: "Usable", server: member.server, session }), []),
        onFailure: (error) =>
          Effect.as(Queue.offer(outcomes, { _tag: "Failed", server: member.server, error }), [error])
      })
    const opening = Effect.gen(function*() {
      const broken = [...registry.broken].filter(([server]) => registry.names.includes(server))
      yield* Effect.forEach(broken, ([server, error]) => Queue.offer(outcomes, { _tag: "Failed", server, error }))
      const running = []
      for (const member of inOrderOfStart(registry.enabled)) {
        running.push(yield* Effect.forkChild(open(member), { startImmediately: true }))
        // Each start computes for a while. In between, others run: responses are read, and outcomes are reported.
        yield* Effect.yieldNow
      }
      return [...broken.map(([, error]) => [error]), ...(yield* Fiber.joinAll(running))]
    })
    const forget = Effect.forEach(
      registry.enabled,
      ({ server }) => Effect.ignore(registry.invalidate(server, owner)),
      { concurrency: "unbounded", discard: true }
    )
    yield* opening.pipe(
      Effect.flatMap((results) => {
        const errors = results.flat()
        if (!isStrict || errors.length === 0) return Queue.end(outcomes)
        return Scope.close(scope, Exit.void).pipe(
          Effect.andThen(forget),
          Effect.andThen(Queue.fail(outcomes, toError(errors)))
        )
      }),
      // A defect ends the stream too: its reader would wait for ever.
      Effect.onError((cause) => Queue.failCause(outcomes, cause)),
      Effect.forkIn(parent, { startImmediately: true })
    )
    return outcomes
  })

const openOne = <E>(
  { isStrict, owner, registry }: Parts<E>,
  { server }: Member,
  gate: StartGate
) =>
  Effect.gen(function*() {
    const core = yield* registry.shared(server, owner)
    core.managed.gate = gate
    const exit = yield* Effect.exit(core.managed.acquire)
    if (!isStrict) yield* core.managed.keepAlive
    return yield* Effect.as(exit, yield* registry.session(core))
  })
