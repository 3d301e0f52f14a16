/**
 * One renewal of the tokens of an owner at a server.
 *
 * **Details**
 *
 * A renewal is one critical section for all processes that share the token store: it reads the store, adopts what another process has saved
 * meanwhile, and only else asks the authorization server and saves its response. A failure of the network keeps the tokens. A refresh token is
 * spent only after the store has shown that it can save.
 */
import type { AuthorizationFailed, AuthRequired } from "@mcp-sessions/core/SessionError"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type { TokenStoreFailed } from "../../TokenStore.ts"
import type { Verdict } from "../network/authorizer.ts"
import { forgetClient, givenClient } from "./clients.ts"
import type { Discovered } from "./discovery.ts"
import { denied, invalid, reasonOf, StepFailed } from "./failure.ts"
import type { OAuthFetch } from "./oauthFetch.ts"
import { type Client, isSame, type Tokens } from "./records.ts"
import { refresh, requestToken, type TokenRequest } from "./tokenRequests.ts"
import type { TokenSource } from "./tokenSource.ts"

/** A renewal that is under way. */
interface Renewal {
  readonly source: TokenSource
  /** The tokens that a server has refused, or that are about to expire. */
  readonly used: Tokens | undefined
  /** Whether they are still valid. */
  readonly isEarly: boolean
}

/** A renewal whose authorization server is known. */
interface Located extends Renewal {
  readonly discovered: Discovered
  readonly http: OAuthFetch
}

type Failure = StepFailed | TokenStoreFailed

const isStepFailed = Schema.is(StepFailed)

/** Attempts of a renewal while the authorization server is unavailable. */
const transient = Schedule.exponential("250 millis").pipe(Schedule.jittered, Schedule.upTo({ times: 2 }))

/** Renews tokens. `undefined`: there are new ones. */
export const renew = (renewal: Renewal): Effect.Effect<Verdict> => {
  const { isEarly, source } = renewal
  const { makeFetch, onRefresh } = source.options
  const renewed = Effect.flatMap(source.pause.over, () => {
    const http = makeFetch()
    return Effect.flatMap(
      source.discover(http),
      (discovered) => source.locked(discovered, renewLocked({ ...renewal, discovered, http }))
    )
  }).pipe(Effect.tapError((failure) => source.pause.take(failure)))
  return renewed.pipe(
    Effect.retry({ schedule: transient, while: ({ kind }) => kind === "Unavailable" }),
    Effect.tap(() => Effect.sync(() => onRefresh("renewed"))),
    Effect.as<Verdict>(undefined),
    Effect.catch((failure) =>
      Effect.sync((): AuthRequired | AuthorizationFailed => {
        onRefresh("failed")
        const reason = reasonOf(failure, isEarly ? "NotSent" : "Rejected", 401)
        return reason._tag === "AuthRequired" ? source.needSignIn(401, failure.description) : reason
      })
    )
  )
}

/** Renews within the critical section. */
const renewLocked = (renewal: Located): Effect.Effect<void, Failure> =>
  Effect.gen(function*() {
    const { discovered, source, used } = renewal
    const key = source.keyOf(discovered)
    let seen = yield* source.tokenRecords.get(key)
    const newest = source.newest(seen)
    if (newest !== undefined && !isSame(newest, used) && isUsable(newest, source)) return source.adopt(newest)
    // A store that cannot save is found out before the refresh token is spent.
    if (source.isUnattended) yield* source.bind(discovered)
    else if (newest?.refreshToken !== undefined) {
      seen = yield* source.tokenRecords.put(key, newest, seen)
      if (!isSame(seen.value, newest)) return source.adopt(seen.value)
    }
    yield* obtain(renewal, newest).pipe(
      Effect.flatMap((tokens) => source.replace(key, tokens, seen)),
      Effect.catchIf(
        (error): error is StepFailed => isStepFailed(error) && error.kind !== "Unavailable",
        (failure) => refused(renewal, newest, failure)
      )
    )
  })

const isUsable = ({ expiresAt, tokenType }: Tokens, source: TokenSource): boolean =>
  tokenType === "Bearer" && (expiresAt === undefined || expiresAt > source.options.now())

/** Asks for tokens without a user. */
const obtain = (renewal: Located, newest: Tokens | undefined): Effect.Effect<Tokens, Failure> =>
  Effect.gen(function*() {
    const { discovered, http, source } = renewal
    const { assertion, auth } = source.options
    const dpop = yield* source.dpop
    const request = (client: Client): TokenRequest => ({ auth, discovered, client, http, dpop })
    const given = givenClient({ auth, discovered })
    if (source.isUnattended) {
      if (given === undefined) return yield* invalid("the grant needs a clientId")
      return yield* requestToken({
        ...request(given),
        scope: source.wantedScope ?? discovered.scopes,
        assertion: assertion === undefined ? undefined : yield* assertion(discovered, http)
      })
    }
    const refreshToken = newest?.refreshToken
    if (newest === undefined || refreshToken === undefined) return yield* denied("login_required")
    // The secret in the definition may be newer.
    const client = given?.clientId === newest.client.clientId ? given : newest.client
    return yield* Effect.tapError(
      refresh({ ...request(client), tokens: newest, refreshToken }),
      ({ kind }) => kind === "ClientRefused" ? forgetClient(client, source.clients) : Effect.void
    )
  })

/** Handles a refusal. A token that is still valid is kept, and so is one that another process has saved. */
const refused = (renewal: Located, newest: Tokens | undefined, failure: StepFailed): Effect.Effect<void, Failure> =>
  Effect.gen(function*() {
    const { discovered, isEarly, source } = renewal
    const key = source.keyOf(discovered)
    const seen = yield* source.tokenRecords.get(key)
    if (seen.value !== undefined && !isSame(seen.value, newest)) return source.adopt(seen.value)
    if (isEarly && newest?.expiresAt !== undefined && newest.expiresAt > source.options.now()) {
      return source.refuseRefresh()
    }
    if (failure.kind === "Denied" || failure.kind === "ClientRefused") {
      yield* source.tokenRecords.remove(key, seen)
      source.adopt(undefined)
    }
    return yield* failure
  })
