/**
 * Clients: the client sessions of this process. They are closed when their clients end them or leave them unused.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as PubSub from "effect/PubSub"
import * as Scope from "effect/Scope"
import * as Crypto from "node:crypto"
import type { Share } from "../admission/fairShare.ts"
import type { Quotas } from "../admission/quotas.ts"
import { KeptMessages } from "../streams/keptMessages.ts"
import { interrupt } from "./clientCall.ts"
import { type ClientOptions, ClientSession } from "./clientSession.ts"
import type { SessionParts } from "./sessionLocation.ts"

/** The interval at which replies of long calls are notified, in milliseconds. */
const lingerInterval = 10_000

/** How often unused sessions are looked for, in milliseconds. */
const sweepInterval = 30_000

export interface ClientsOptions extends Pick<ClientOptions, "catalog" | "now" | "streams" | "tasks" | "upstreams"> {
  readonly quotas: Quotas
  /** How long a session may stay unused, in milliseconds. */
  readonly idleTimeToLive: number
  readonly scope: Scope.Scope
}

export class Clients {
  readonly #options: ClientsOptions
  readonly #kept = new KeptMessages()
  readonly #byName = new Map<string, ClientSession>()
  readonly #modern = new Map<string, ClientSession>()
  readonly #byOwner = new Map<string, ClientSession>()
  readonly #places = new WeakMap<ClientSession, Share>()

  constructor(options: ClientsOptions) {
    this.#options = options
  }

  get size(): number {
    return this.#byName.size
  }

  /** All clients. */
  [Symbol.iterator](): IterableIterator<ClientSession> {
    return this.#byName.values()
  }

  /** Makes a client session; `undefined` if the principal has too many. */
  make(parts: SessionParts): Effect.Effect<ClientSession | undefined> {
    return this.getOrMake({ ...parts, name: Crypto.randomUUID() })
  }

  /** Gives the session of a name, or makes it; `undefined` if the principal has too many. */
  getOrMake(parts: SessionParts & { readonly name: string }): Effect.Effect<ClientSession | undefined> {
    return Effect.gen({ self: this }, function*() {
      const { catalog, now, quotas, scope, streams, tasks, upstreams } = this.#options
      const { name, principal } = parts
      const before = this.#byName.get(name)
      if (before !== undefined) return before
      const own = yield* Scope.fork(scope, "parallel")
      const rootsChanges = yield* PubSub.sliding<void>(1)
      // From here on nothing waits, so of two callers at a time one makes it.
      const known = this.#byName.get(name)
      const place = known === undefined ? quotas.open(principal) : undefined
      if (place === undefined) {
        yield* Scope.close(own, Exit.void)
        return known
      }
      const client = new ClientSession(
        {
          ...parts,
          owner: `${principal} ${name}`,
          scope: own,
          catalog,
          streams,
          tasks,
          upstreams,
          now,
          kept: this.#kept
        },
        rootsChanges
      )
      this.#places.set(client, place)
      this.#byName.set(name, client)
      this.#byOwner.set(client.owner, client)
      return client
    })
  }

  /** Gives what stands for the clients of a principal that have no session of their own and can do the same. */
  modern(parts: SessionParts): Effect.Effect<ClientSession | undefined> {
    const key = JSON.stringify([parts.principal, parts.capabilities])
    return Effect.suspend(() => {
      const known = this.#modern.get(key)
      if (known !== undefined && this.#byName.has(known.name)) return Effect.succeed(known)
      return Effect.map(this.make(parts), (made) => {
        if (made !== undefined) this.#modern.set(key, made)
        return made
      })
    })
  }

  /** Finds a session by its name. */
  get(name: string): ClientSession | undefined {
    return this.#byName.get(name)
  }

  /** Finds the client on whose behalf an upstream session is used. */
  ofOwner(owner: string): ClientSession | undefined {
    return this.#byOwner.get(owner)
  }

  /** Closes a session: its calls end, and its sessions upstream are deleted. */
  close(client: ClientSession): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (!this.#byName.delete(client.name)) return Effect.void
      this.#byOwner.delete(client.owner)
      for (const [key, one] of this.#modern) if (one === client) this.#modern.delete(key)
      const { tasks } = this.#options
      this.#places.get(client)?.end()
      const fibers = [...client.calls.values()].flatMap((call) => interrupt(call) ?? [])
      return Fiber.awaitAll(fibers).pipe(
        Effect.andThen(Effect.sync(() => {
          client.output.end()
          // Clients of 2026-07-28 have no session, so their outcomes are kept.
          if (!client.isModern) tasks.forgetSession(client.name)
        })),
        Effect.andThen(Scope.close(client.scope, Exit.void))
      )
    })
  }

  /** Closes all sessions, in parallel. */
  get closeAll(): Effect.Effect<void> {
    return Effect.suspend(() =>
      Effect.forEach([...this.#byName.values()], (client) => this.close(client), {
        concurrency: "unbounded",
        discard: true
      })
    )
  }

  /** Closes unused sessions, and forgets streams that were left and tasks that are over, for as long as it runs. */
  get sweep(): Effect.Effect<never> {
    const swept = Effect.suspend(() => {
      for (const client of this) client.resumable.sweep()
      this.#options.tasks.sweep()
      return Effect.forEach(
        [...this.#byName.values()].filter(({ idleTime }) => idleTime > this.#options.idleTimeToLive),
        (client) => this.close(client),
        { concurrency: "unbounded", discard: true }
      )
    })
    return Effect.forever(Effect.andThen(Effect.sleep(sweepInterval), swept))
  }

  /** Tells replies that their calls take long, for as long as it runs. */
  get linger(): Effect.Effect<never> {
    const told = Effect.sync(() => {
      for (const client of this) {
        if (client.resumable.areResumableAtOnce) { for (const call of client.calls.values()) call.reply.linger?.() }
      }
    })
    return Effect.forever(Effect.andThen(Effect.sleep(lingerInterval), told))
  }
}
