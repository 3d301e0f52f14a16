/**
 * Registry: the named servers of one layer, and their session cores by identity.
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as RcMap from "effect/RcMap"
import * as Scope from "effect/Scope"
import { Authorization } from "../../Authorization.ts"
import type { CircuitPolicy } from "../../Circuit.ts"
import type { CleanupReport } from "../../Cleanup.ts"
import { ConfigError, DisabledServer } from "../../ConfigError.ts"
import type { CredentialsProvider } from "../../Credentials.ts"
import type { FallbackPolicy } from "../../FallbackPolicy.ts"
import type { RetryPolicy } from "../../RetryPolicy.ts"
import type { ServerDefinition } from "../../ServerConfig.ts"
import type { Session } from "../../Session.ts"
import { SessionClosed, SessionError } from "../../SessionError.ts"
import { Transport, Transports } from "../../Transport.ts"
import { StartGate } from "../connection/startGate.ts"
import type { CallerPolicy } from "../request/retryLoop.ts"
import type { ToolLedger } from "../request/toolLedger.ts"
import * as circuitBreaker from "../server/circuitBreaker.ts"
import * as rateLimit from "../server/rateLimit.ts"
import { ClientSession } from "../session/clientSession.ts"
import { Identified, identify, Identity } from "../session/identity.ts"
import * as sessionCore from "../session/sessionCore.ts"
import * as timers from "../timers.ts"
import * as credentialedTransport from "./credentialedTransport.ts"
import { makeMember, type Member } from "./member.ts"
import { type NameOptions, ServerNames } from "./serverNames.ts"
import { type Lease, SharedCores } from "./sharedCores.ts"

export interface RegistryOptions extends NameOptions {
  readonly definitions: ReadonlyArray<ServerDefinition>
  readonly retry: RetryPolicy
  readonly reconnect: RetryPolicy
  readonly circuit: CircuitPolicy
  readonly fallback: FallbackPolicy
  readonly credentials: CredentialsProvider | undefined
  readonly onCleanup: (report: CleanupReport) => Effect.Effect<void>
}

export type Failure = SessionError | ConfigError

/** The key of an owner at a server. The length of the owner keeps two pairs from having one key, whatever characters they hold. */
const ownerKey = (owner: string, server: string): string => `${owner.length}:${owner}${server}`

/** What is made once for all servers. */
interface Shared {
  readonly scope: Scope.Scope
  readonly context: Context.Context<never>
  readonly timers: timers.Timers
  readonly members: ReadonlyMap<string, Member>
  readonly transports: RcMap.RcMap<Identified, Transport["Service"], ConfigError>
  /** The scope of all session cores. Closes its children in parallel. */
  readonly coresScope: Scope.Closeable
  readonly authorization: Authorization["Service"] | undefined
}

export class Registry {
  readonly #options: RegistryOptions
  readonly #shared: Shared
  readonly #cores: SharedCores<Failure>
  /** The identity of each owner at each server as of the last request, if owners have credentials. */
  readonly #identities = new Map<string, Identified>()
  /** The identities of the shared cores by key. */
  readonly #identified = new Map<string, Identified>()
  readonly #names: ServerNames
  readonly #caller: CallerPolicy
  #isClosed = false

  constructor(options: RegistryOptions, shared: Shared) {
    this.#options = options
    this.#shared = shared
    this.#names = new ServerNames(options.definitions, options)
    this.#caller = { retry: options.retry, isEnded: () => false, connectsOnce: false }
    this.#cores = new SharedCores({
      timers: shared.timers,
      parent: shared.coresScope,
      fork: (effect) => this.#fork(effect),
      onClose: (key) => this.#identified.delete(key),
      open: (key, scope) => this.#openShared(key, scope),
      idleTimeToLive: (key) => this.#idleTimeToLive(key)
    })
  }

  /** How calls without a session object are retried. */
  get caller(): CallerPolicy {
    return this.#caller
  }

  /** The names of all servers, in the order of the configuration. */
  get names(): ReadonlyArray<string> {
    return this.#names.listed
  }

  /** The errors of names without a usable definition. */
  get broken(): ReadonlyMap<string, ConfigError> {
    return this.#names.broken
  }

  /** All servers that are not disabled. */
  get enabled(): ReadonlyArray<Member> {
    return [...this.#shared.members.values()].filter(({ definition }) => !definition.config.disabled)
  }

  /** The context in which the registry was made. */
  get context(): Context.Context<never> {
    return this.#shared.context
  }

  find(server: string): Effect.Effect<Member, ConfigError> {
    return Effect.suspend(() => {
      const member = this.#shared.members.get(this.#names.canonical(server))
      return member === undefined ? Effect.fail(this.#names.errorOf(server)) : Effect.succeed(member)
    })
  }

  findEnabled(server: string): Effect.Effect<Member, ConfigError> {
    return Effect.filterOrFail(
      this.find(server),
      ({ definition }) => !definition.config.disabled,
      () => new ConfigError({ problems: [new DisabledServer({ server, path: [] })] })
    )
  }

  /** Determines the identity of an owner at a server. */
  identify(server: string, owner: string): Effect.Effect<Identified, Failure> {
    return Effect.flatMap(this.findEnabled(server), ({ definition }) => {
      const { credentials } = this.#options
      const known = credentials === undefined ? undefined : this.#identities.get(ownerKey(owner, definition.name))
      return identify({ owner, definition, provider: credentials, known })
    })
  }

  /** Leases the shared core of an owner for as long as the scope. */
  shared(server: string, owner: string): Effect.Effect<sessionCore.SessionCore, Failure, Scope.Scope> {
    return Effect.flatMap(this.#keyOf(server, owner), (key) => this.#cores.acquire(key))
  }

  /** Leases the shared core of an owner, if a call may use it at once: it is open, and owners have no credentials of their own. */
  tryShared(server: string, owner: string): Lease | undefined {
    return this.#options.credentials === undefined
      ? this.#cores.tryLease(ownerKey(owner, this.#names.canonical(server)))
      : undefined
  }

  get authorization(): Authorization["Service"] | undefined {
    return this.#shared.authorization
  }

  /** Lets the next caller have a new shared core. */
  invalidate(server: string, owner: string): Effect.Effect<void, Failure> {
    return Effect.flatMap(this.#keyOf(server, owner), (key) => this.#cores.invalidate(key))
  }

  /** Makes a core that is not shared, for as long as the scope. With `isManual`, the handshake is left to the caller. */
  open(
    server: string,
    owner: string,
    isManual: boolean
  ): Effect.Effect<sessionCore.SessionCore, Failure, Scope.Scope> {
    return Effect.gen({ self: this }, function*() {
      const identified = yield* this.identify(server, owner)
      const scope = yield* Effect.acquireRelease(
        Effect.sync(() => Scope.forkUnsafe(this.#shared.coresScope)),
        (scope, exit) => Scope.close(scope, exit)
      )
      return yield* this.#openCore(identified, isManual, scope)
    })
  }

  /** A session object on a core, valid for as long as the scope. */
  session(
    core: sessionCore.SessionCore,
    options?: { readonly retry: RetryPolicy; readonly ledger: ToolLedger }
  ): Effect.Effect<Session, never, Scope.Scope> {
    return Effect.gen({ self: this }, function*() {
      const ended = Deferred.makeUnsafe<void>()
      yield* Effect.addFinalizer(() => Deferred.succeed(ended, undefined))
      return new ClientSession({ core, retry: this.#options.retry, ...options, ended })
    })
  }

  /** A limit on process starts, for servers that are opened together. */
  startGate(): StartGate {
    return new StartGate(this.#shared.timers)
  }

  /** Refuses new sessions. Run before the cores are closed. */
  get close(): Effect.Effect<void> {
    return Effect.sync(() => {
      this.#isClosed = true
    })
  }

  #fork(effect: Effect.Effect<unknown>): void {
    Fiber.runIn(Effect.runForkWith(this.#shared.context)(effect), this.#shared.scope)
  }

  /** The key of the shared core of an owner. A change of credentials replaces the core: the old one closes with its last lease. */
  #keyOf(server: string, owner: string): Effect.Effect<string, Failure> {
    return Effect.suspend(() => {
      if (this.#isClosed) return Effect.fail(new SessionError({ server, reason: new SessionClosed() }))
      return Effect.map(this.identify(server, owner), (identified) => {
        const place = ownerKey(owner, this.#names.canonical(server))
        const key = this.#options.credentials === undefined ? place : Identity.keyOf(identified.identity)
        const before = this.#identities.get(place)
        if (before === undefined || !Equal.equals(before, identified)) this.#identities.set(place, identified)
        if (!this.#identified.has(key)) this.#identified.set(key, identified)
        if (before !== undefined && !Equal.equals(before, identified)) {
          this.#fork(this.#cores.invalidate(Identity.keyOf(before.identity)))
        }
        return key
      })
    })
  }

  #idleTimeToLive(key: string): number {
    const config = this.#identified.get(key)?.definition.config
    return config === undefined ? 0 : Duration.toMillis(config.idleTimeToLive)
  }

  #openShared(key: string, scope: Scope.Scope): Effect.Effect<sessionCore.SessionCore, Failure> {
    const identified = this.#identified.get(key)
    return identified === undefined
      ? Effect.die("a shared core was opened without an identity")
      : this.#openCore(identified, false, scope)
  }

  /** Makes a core in a scope, in the context of the layer and never in that of a caller. */
  #openCore(
    identified: Identified,
    isManual: boolean,
    scope: Scope.Scope
  ): Effect.Effect<sessionCore.SessionCore, Failure> {
    const { definition, identity: { owner, server } } = identified
    const { credentials, onCleanup, reconnect, retry } = this.#options
    const opened = Effect.gen({ self: this }, function*() {
      const { cores, state } = yield* this.findEnabled(server)
      const transport = yield* this.#transportOf(identified)
      let current = identified
      const core = yield* sessionCore.make({
        owner,
        definition,
        identity: () => current.identity,
        server: state,
        timers: this.#shared.timers,
        retry,
        reconnect,
        onCleanup,
        isManual,
        authorization: this.#shared.authorization,
        transport: credentials === undefined ? transport : credentialedTransport.make({
          identified,
          transport,
          identify: this.identify(server, owner),
          transportOf: (other) => this.#transportOf(other),
          onIdentity: (now) => {
            current = now
            // Callers with the old credentials get another core from now on.
            if (!Equal.equals(now, identified)) {
              this.#fork(this.#cores.invalidate(Identity.keyOf(identified.identity)))
            }
          }
        })
      })
      yield* Effect.acquireRelease(Effect.sync(() => cores.add(core)), () => Effect.sync(() => cores.delete(core)))
      return core
    })
    return opened.pipe(
      Scope.provide(scope),
      Effect.updateContext((_: Context.Context<never>) => this.#shared.context)
    )
  }

  /** The transport of a definition, shared by all owners with the same credentials: its socket pool and what it learned are of the server. */
  #transportOf({ definition, identity }: Identified): Effect.Effect<Transport["Service"], ConfigError, Scope.Scope> {
    const { transports } = this.#shared
    const endpoint = new Identified(identity.endpoint, definition)
    return Effect.tapCause(
      RcMap.get(transports, endpoint),
      // A failed lookup would be remembered.
      (cause) => Cause.hasInterruptsOnly(cause) ? Effect.void : RcMap.invalidate(transports, endpoint)
    )
  }
}

/** Makes a registry that ends with the scope. Connects nothing. */
export const make = Effect.fnUntraced(function*(
  options: RegistryOptions
): Effect.fn.Return<Registry, never, Transports | Scope.Scope> {
  const scope = yield* Effect.scope
  const context = yield* Effect.context<never>()
  const factory = yield* Transports
  const circuitOf = yield* circuitBreaker.make(options.circuit)
  const rateLimitOf = yield* rateLimit.make
  const members = new Map<string, Member>()
  for (const definition of options.definitions) {
    const member = yield* makeMember({ ...options, definition, context, scope, circuitOf, rateLimitOf })
    members.set(member.server, member)
  }
  const transports = yield* RcMap.make({
    lookup: ({ definition }: Identified) =>
      Effect.map(
        Layer.build(Layer.fresh(factory.transport(definition))),
        (services) => Context.get(services, Transport)
      )
  })
  const shared = {
    scope,
    context,
    members,
    transports,
    timers: yield* timers.make,
    authorization: Option.getOrUndefined(yield* Effect.serviceOption(Authorization)),
    coresScope: yield* Effect.acquireRelease(Scope.make("parallel"), (scope) => Scope.close(scope, Exit.void))
  }
  const registry = new Registry(options, shared)
  yield* Effect.addFinalizer(() => registry.close)
  return registry
})
