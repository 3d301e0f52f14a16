/**
 * The registry behind a `Sessions` service, for modules that need more of it than the service offers.
 */
import * as Effect from "effect/Effect"
import { Identity } from "../session/identity.ts"
import type { Failure, Registry } from "./registry.ts"

const registries = new WeakMap<object, Registry>()

export const attachRegistry = <A extends object>(service: A, registry: Registry): A => {
  registries.set(service, registry)
  return service
}

export const registryOf = (service: object): Registry | undefined => registries.get(service)

/** The identity of an owner at a server. A service that a test provides has no registry: there, owners are their identities. */
export const identityOf = (options: {
  readonly service: object
  readonly server: string
  readonly owner: string
}): Effect.Effect<Identity, Failure> => {
  const { owner, server, service } = options
  const registry = registries.get(service)
  return registry === undefined
    ? Effect.succeed(new Identity(owner, server, ""))
    : Effect.map(registry.identify(server, owner), ({ identity }) => identity)
}
