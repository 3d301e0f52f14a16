/**
 * Latest failure of a pool: what `AcquireTimeout` says about why no session could be opened.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { CredentialsFailed, forOthers, SessionError } from "../../SessionError.ts"
import type { Failure, PoolPort } from "./poolPort.ts"

export class LatestFailure {
  readonly #server: string
  #latest: { readonly error: SessionError; readonly owner: string } | undefined

  constructor(server: string) {
    this.#server = server
  }

  /** Records that no session could be opened for an owner. */
  record(cause: Cause.Cause<Failure>, owner: string): void {
    const error = Option.getOrUndefined(Cause.findErrorOption(cause))
    if (error?._tag === "SessionError") this.#latest = { error, owner }
  }

  /** Records the failure to open a session for the owner of the pool, and returns it as an error of the server. */
  describe(cause: Cause.Cause<Failure>, owner: string): SessionError {
    const found = Option.getOrUndefined(Cause.findErrorOption(cause))
    const error = found?._tag === "SessionError"
      ? found
      : new SessionError({ server: this.#server, reason: new CredentialsFailed({ owner, cause: found }) })
    this.#latest = { error, owner }
    return error
  }

  /** The latest failure, without what it says about the processes and credentials of another owner. */
  of({ health, owner }: { readonly health: PoolPort["health"]; readonly owner: string }) {
    return Effect.map(health, ({ lastError }): SessionError | undefined => {
      const known = this.#latest?.error ?? lastError
      const reason = known === undefined || this.#latest?.owner === owner ? known?.reason : forOthers(known.reason)
      return reason === undefined ? undefined : new SessionError({ server: this.#server, reason })
    })
  }
}
