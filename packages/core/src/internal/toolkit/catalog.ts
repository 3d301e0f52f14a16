/**
 * Catalog: lists the tools of servers, and follows their changes. `calls.ts` calls them for a model.
 *
 * Each server is followed by a fiber that holds a session of it, so that a change, also one after a reconnect, reaches the catalog.
 */
import * as Context from "effect/Context"
import * as Digest from "effect/crypto/Digest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Predicate from "effect/Predicate"
import * as PubSub from "effect/PubSub"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import type { Tool } from "../../Mcp.ts"
import { reconnectDefault } from "../../RetryPolicy.ts"
import type { Session } from "../../Session.ts"
import { SessionClosed, SessionError } from "../../SessionError.ts"
import { type ToolError, ToolNameCollision } from "../../ToolError.ts"
import * as monotonic from "../monotonic.ts"
import { guardTelemetry } from "../telemetry/guard.ts"
import { Calls, type Failure, type Send } from "./calls.ts"
import type { ReadOptions } from "./catalogOptions.ts"
import { soundDefinition } from "./definition.ts"
import * as fingerprint from "./fingerprint.ts"
import { type CatalogTool, Offers, type ToolChange } from "./offers.ts"
import { modelName, prefixed } from "./toolNames.ts"
import { type ListedTools, warnOfUnmatched } from "./unmatchedPatterns.ts"

/** What a catalog needs of the sessions, for one owner. */
export interface ToolSource {
  readonly session: (server: string) => Effect.Effect<Session, Failure, Scope.Scope>
  readonly call: Send
}

/** A change of the offered tools, or a server whose tools cannot be listed. */
export type CatalogChange = ToolChange | { readonly _tag: "Unlisted"; readonly server: string; readonly error: Failure }

/** How many changes are kept for a slow reader: the latest. */
const changeCapacity = 256

/** Whether listing again may help without a person: a server that refuses the credentials would ask for a sign-in each time. */
const mayRecover = (error: Failure): error is SessionError =>
  error._tag === "SessionError" &&
  (error.isRetryable || ["ServerDown", "ServerEjected", "QueueFull", "RateLimited"].includes(error.reason._tag))

const followAgain = monotonic.byMonotonicTime(reconnectDefault)

export class Catalog {
  readonly #source: ToolSource
  readonly #options: ReadOptions
  readonly #offers: Offers
  readonly #fingerprint: fingerprint.Fingerprint
  readonly #changes: PubSub.PubSub<CatalogChange>
  readonly #scope: Scope.Scope
  readonly #closed: Deferred.Deferred<void>
  readonly #followers = new Map<string, Fiber.Fiber<void, Failure>>()
  /** The names of all tools by server, those that are not offered too. */
  readonly #names = new Map<string, ReadonlyArray<string>>()
  /** Lists are taken one at a time, in the order in which they arrive. */
  readonly #taking = Semaphore.makeUnsafe(1)
  /** The calls that a model makes. */
  readonly calls: Calls

  constructor(parts: {
    readonly source: ToolSource
    readonly options: ReadOptions
    readonly fingerprint: fingerprint.Fingerprint
    readonly changes: PubSub.PubSub<CatalogChange>
    readonly scope: Scope.Scope
    readonly closed: Deferred.Deferred<void>
  }) {
    this.#source = parts.source
    this.#options = parts.options
    this.#offers = new Offers(parts.options.pins)
    this.#fingerprint = parts.fingerprint
    this.#changes = parts.changes
    this.#scope = parts.scope
    this.#closed = parts.closed
    this.calls = new Calls({
      offers: this.#offers,
      options: parts.options,
      send: parts.source.call,
      endedAt: (server) => this.#endedAt(server)
    })
  }

  get version(): number {
    return this.#offers.version
  }

  get tools(): ReadonlyArray<CatalogTool> {
    return this.#offers.offered
  }

  get held(): ReadonlyArray<CatalogTool> {
    return this.#offers.held
  }

  get pins(): Readonly<Record<string, string>> {
    return this.#offers.pins
  }

  get changes(): Stream.Stream<CatalogChange> {
    return Stream.interruptWhen(Stream.fromPubSub(this.#changes), Deferred.await(this.#closed))
  }

  /** The names of the tools that each server lists. */
  get listed(): ReadonlyArray<ListedTools> {
    return this.#options.servers.map((server) => ({ server, tools: this.#names.get(server) ?? [] }))
  }

  /** Lists the tools of all servers for the first time, and follows them. Gives the failures, and the collisions of names. */
  get start(): Effect.Effect<{
    readonly failures: ReadonlyArray<Failure>
    readonly collisions: ReadonlyArray<Extract<ToolChange, { readonly _tag: "Collided" }>>
  }> {
    return Effect.gen({ self: this }, function*() {
      const follows = yield* Effect.forEach(this.#options.servers, (server) => this.#follow(server))
      // The lists are taken in the order of the servers: which of two tools has a name must not depend on which server is faster.
      const outcomes = yield* Effect.forEach(follows, ({ take }) => Effect.result(take), { concurrency: "unbounded" })
      const failures = outcomes.flatMap((outcome) => Result.isFailure(outcome) ? [outcome.failure] : [])
      const changes: Array<ToolChange> = []
      for (const outcome of outcomes) {
        if (Result.isSuccess(outcome)) changes.push(...(yield* outcome.success))
      }
      return { failures, collisions: changes.flatMap((change) => change._tag === "Collided" ? [change] : []) }
    })
  }

  /** Lists the tools of all servers again, and follows those that could not be listed before. */
  get refresh(): Effect.Effect<void, Failure> {
    return Effect.gen({ self: this }, function*() {
      const refreshed = yield* Effect.forEach(
        this.#options.servers,
        (server) => Effect.result(this.#refresh(server)),
        { concurrency: "unbounded" }
      )
      const failed = refreshed.find(Result.isFailure)
      if (failed !== undefined) return yield* failed.failure
    })
  }

  #refresh(server: string): Effect.Effect<unknown, Failure> {
    return Effect.suspend((): Effect.Effect<unknown, Failure> => {
      const ended = this.#endedAt(server)
      if (ended !== undefined) return Effect.fail(ended)
      const isFollowed = this.#followers.get(server)?.pollUnsafe() === undefined
      if (!isFollowed) return this.#followAgain(server)
      return Effect.flatMap(
        Effect.scoped(Effect.flatMap(this.#source.session(server), ({ listTools }) => listTools({ refresh: true }))),
        (tools) => this.#take(server, tools)
      )
    })
  }

  /** Follows a server. The first list is taken by the catalog: its follower waits for that, though the caller may not. */
  #followAgain(server: string): Effect.Effect<unknown, Failure> {
    const taken = Effect.flatMap(this.#follow(server), ({ take }) => Effect.forkIn(Effect.flatten(take), this.#scope))
    return Effect.flatMap(Effect.uninterruptible(taken), Fiber.join)
  }

  accept(name: string): Effect.Effect<void, ToolError> {
    return Effect.suspend(() => {
      if (this.#offers.find(name) === undefined) return Effect.fail(this.calls.unknown(name))
      return this.#publish(this.#offers.accept(name))
    })
  }

  /** The failure of what is asked of a server after the catalog was closed. */
  #endedAt(server: string): SessionError | undefined {
    return Deferred.isDoneUnsafe(this.#closed) ? new SessionError({ server, reason: new SessionClosed() }) : undefined
  }

  /**
   * Follows the tools of a server for as long as the catalog is open. `take` waits for the first list, and gives the effect that takes it;
   * later lists wait for that.
   */
  #follow(server: string): Effect.Effect<{
    readonly take: Effect.Effect<Effect.Effect<ReadonlyArray<ToolChange>>, Failure>
  }> {
    return Effect.gen({ self: this }, function*() {
      const first = yield* Deferred.make<ReadonlyArray<Tool>, Failure>()
      const taken = yield* Deferred.make<void>()
      const took = (tools: ReadonlyArray<Tool>) =>
        Effect.flatMap(
          Deferred.succeed(first, tools),
          (isFirst) => isFirst ? Deferred.await(taken) : Effect.asVoid(this.#take(server, tools))
        )
      const followed = Effect.scoped(
        Effect.flatMap(
          this.#source.session(server),
          ({ listTools, watchTools }) =>
            Stream.runForEach(watchTools, took).pipe(
              // A server that refuses to notify of changes still lists its tools: it is listed once, and again by `refresh`.
              Effect.catchIf(
                (error) => !Deferred.isDoneUnsafe(first) && !mayRecover(error),
                () => Effect.flatMap(listTools(), took)
              )
            )
        )
      )
      const failed = (error: Failure) =>
        Deferred.fail(first, error).pipe(
          Effect.andThen(this.#publish([{ _tag: "Unlisted", server, error }])),
          Effect.andThen(mayRecover(error) ? Effect.fail(error) : Effect.void)
        )
      const fiber = yield* followed.pipe(
        Effect.catch(failed),
        Effect.retry(followAgain),
        Effect.onExit((exit) => Exit.isSuccess(exit) ? Effect.void : Deferred.failCause(first, exit.cause)),
        Effect.forkIn(this.#scope, { startImmediately: true })
      )
      this.#followers.set(server, fiber)
      const take = (tools: ReadonlyArray<Tool>) =>
        Effect.ensuring(this.#take(server, tools), Deferred.succeed(taken, undefined))
      return { take: Effect.map(Deferred.await(first), take) }
    })
  }

  #take(server: string, tools: ReadonlyArray<Tool>): Effect.Effect<ReadonlyArray<ToolChange>> {
    return this.#taking.withPermit(Effect.gen({ self: this }, function*() {
      const { isOffered, name = prefixed } = this.#options
      this.#names.set(server, tools.map((definition) => definition.name).filter(Predicate.isString))
      const offered = new Map<string, Tool>()
      for (const definition of tools) {
        const { name: tool } = definition
        if (Predicate.isString(tool) && !offered.has(tool) && isOffered({ server, tool })) offered.set(tool, definition)
      }
      const listed = yield* Effect.forEach(offered, ([tool, definition]) => {
        const place = { server, tool }
        return Effect.all({
          server: Effect.succeed(server),
          tool: Effect.succeed(tool),
          definition: Effect.succeed(soundDefinition(definition)),
          name: modelName({ place, wanted: name(place), fingerprint: this.#fingerprint }),
          pin: this.#fingerprint(fingerprint.pinnedParts(definition))
        })
      })
      const changes = this.#offers.list(server, listed)
      yield* this.#publish(changes)
      return changes
    }))
  }

  #publish(changes: ReadonlyArray<CatalogChange>): Effect.Effect<void> {
    return Effect.asVoid(PubSub.publishAll(this.#changes, changes))
  }
}

/** Makes a catalog, for as long as the scope. */
export const make = <E>(
  { options, source, toError }: {
    readonly options: ReadOptions
    readonly source: ToolSource
    readonly toError: (failures: ReadonlyArray<Failure>) => E
  }
): Effect.Effect<Catalog, E | ToolNameCollision, Scope.Scope> =>
  Effect.gen(function*() {
    const scope = yield* Effect.flatMap(Effect.scope, (parent) => Scope.fork(parent))
    const closed = yield* Deferred.make<void>()
    yield* Scope.addFinalizer(scope, Deferred.succeed(closed, undefined))
    const digest = Context.get(yield* Layer.build(Digest.layerWebCrypto), Digest.Digest)
    const catalog = new Catalog({
      source,
      options,
      fingerprint: yield* Effect.provideService(fingerprint.make, Digest.Digest, digest),
      changes: yield* PubSub.sliding<CatalogChange>(changeCapacity),
      scope,
      closed
    })
    const checked = Effect.gen(function*() {
      const { collisions, failures } = yield* catalog.start
      const isNone = failures.length > 0 && failures.length === options.servers.length
      if (isNone || (failures.length > 0 && options.mode === "strict")) return yield* Effect.fail(toError(failures))
      if (collisions.length > 0) return yield* new ToolNameCollision({ collisions })
      yield* Effect.forEach(
        failures,
        ({ message }) => guardTelemetry(Effect.logWarning(`the tools of a server cannot be listed yet: ${message}`)),
        { discard: true }
      )
      yield* warnOfUnmatched({ ...options, listed: catalog.listed })
    })
    yield* Effect.onError(checked, (cause) => Scope.close(scope, Exit.failCause(cause)))
    return catalog
  })
