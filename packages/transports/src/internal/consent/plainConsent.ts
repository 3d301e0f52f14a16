/**
 * Consent by a plain or async function of the program.
 */
import { AuthRequired } from "@mcp-sessions/core/SessionError"
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import type { Opened, Request, Shape } from "./consentPort.ts"
import { guarded, interactive, late, timeLimit } from "./consents.ts"
import { isAt, isResponse } from "./redirectUrls.ts"

/**
 * A page that a user is to visit, to sign in an owner to a server.
 *
 * @category models
 * @since 0.1.0
 */
export interface SignInPage {
  /** The name of the server. */
  readonly server: string
  /** The owner who signs in. */
  readonly owner: string
  /** The page to visit. */
  readonly url: string
  /** The URL that the authorization server redirects the user to afterwards. */
  readonly redirectUrl: string
  /** Aborted when the sign-in is over: it took 5 minutes, nobody waits for it any more, or the answer came another way. */
  readonly signal: AbortSignal
}

/**
 * Asks a user to visit a page. May return the URL that the authorization server has redirected the user to, as text.
 *
 * @category models
 * @since 0.1.0
 */
export type AskToSignIn = (page: SignInPage) => unknown

/** The answer of the program: the URL of the redirect; `undefined` if it gives none. What it holds is in no error. */
const answerOf = (answer: unknown, redirectUrl: string): Effect.Effect<URL | undefined, AuthRequired> => {
  if (answer === undefined || answer === null) return Effect.undefined
  const url = Predicate.isString(answer) ? URL.parse(answer.trim(), redirectUrl) : null
  return url !== null && isAt(url, new URL(redirectUrl)) && isResponse(url)
    ? Effect.succeed(url)
    : new AuthRequired({ status: 401, description: "what the program returned is not an authorization response" })
}

const asking = (ask: AskToSignIn, page: Omit<SignInPage, "signal">): Effect.Effect<URL | undefined, AuthRequired> =>
  Effect.flatMap(
    Effect.tryPromise({
      try: (signal) => Promise.resolve({ ...page, signal }).then(ask),
      catch: () =>
        new AuthRequired({ status: 401, url: page.url, description: "the program could not ask for a sign-in" })
    }),
    (answer) => answerOf(answer, page.redirectUrl)
  )

/** Redirects to a URL of the program, which returns the URL of that request. Without one, the user was asked and signs in later. */
const redirecting = (ask: AskToSignIn, redirectUrl: string): Shape =>
  guarded({
    open: ({ owner, server }: Request) =>
      Effect.succeed<Opened>({
        redirectUrl,
        ask: ({ href: url }) =>
          asking(ask, { server, owner, url, redirectUrl }).pipe(
            Effect.timeoutOrElse({ duration: timeLimit, orElse: () => Effect.fail(late()) }),
            Effect.filterOrElse(
              Predicate.isNotUndefined,
              () => new AuthRequired({ status: 401, url, description: "the sign-in has not been completed" })
            )
          )
      })
  })

/** Makes a consent. Without a redirect URL of the program, the answer may come to a port of this machine, too. */
export const make = ({ ask, redirectUrl }: {
  readonly ask: AskToSignIn
  readonly redirectUrl: string | undefined
}): Shape =>
  redirectUrl === undefined
    ? interactive({
      port: undefined,
      show: ({ owner, server, url: { href: url } }, redirectUrl) => asking(ask, { server, owner, url, redirectUrl })
    })
    : redirecting(ask, redirectUrl)
