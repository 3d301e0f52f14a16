/**
 * The consents of this package: what they have in common, and how they ask.
 */
import { AuthRequired } from "@mcp-sessions/core/SessionError"
import * as Effect from "effect/Effect"
import type { Request, Shape } from "./consentPort.ts"
import * as Loopback from "./loopback.ts"
import { candidatesOf, isAt, isResponse, portOf } from "./redirectUrls.ts"

/** How long a user may take. */
export const timeLimit = "5 minutes"

/** The failure of a sign-in that took too long. */
export const late = (): AuthRequired =>
  new AuthRequired({ status: 401, description: `nobody completed the sign-in within ${timeLimit}` })

/** How often a user may paste something else. */
const maxPastes = 3

/** A page that a user is to visit, to sign in an owner to a server. */
export interface SignInPage {
  /** The name of the server. */
  readonly server: string
  /** The owner who signs in. */
  readonly owner: string
  /** The page to visit. */
  readonly url: URL
}

/** Lets only pages of the web reach a user: another scheme, such as `javascript:`, would run something. */
const checkPage = (url: URL): Effect.Effect<void, AuthRequired> =>
  url.protocol === "https:" || url.protocol === "http:"
    ? Effect.void
    : new AuthRequired({
      status: 401,
      description: `the authorization page has the scheme ${JSON.stringify(url.protocol)}, not https`
    })

/** Adds the checks that hold for every consent. */
export const guarded = (shape: Shape): Shape => ({
  open: (request) =>
    Effect.map(shape.open(request), ({ ask, redirectUrl }) => ({
      redirectUrl,
      ask: (url) => Effect.andThen(checkPage(url), ask(url))
    }))
})

/** Asks nobody. */
export const headless: Shape = guarded({
  open: ({ preferred, server }) =>
    Effect.succeed({
      redirectUrl: preferred[0] ?? `http://127.0.0.1:${portOf(server)}/callback`,
      ask: (url) => new AuthRequired({ status: 401, url: url.href, description: "nobody can be asked here" })
    })
})

/** Reads URLs that a user pastes, until one is the response. Nothing that was pasted is in an error: it may hold a code. */
const pasted = Effect.fnUntraced(function*(
  redirectUrl: string,
  read: (problem: string | undefined) => Effect.Effect<string | undefined>
) {
  const problem = `this is not the address of the last page; it begins with ${redirectUrl}`
  for (let attempt = 0; attempt < maxPastes; attempt++) {
    const text = yield* read(attempt === 0 ? undefined : problem)
    // The end of the input: the response can still come to the port.
    if (text === undefined) return yield* Effect.never
    const url = URL.parse(text.trim(), redirectUrl)
    if (url !== null && isAt(url, new URL(redirectUrl)) && isResponse(url)) return url
  }
  return yield* new AuthRequired({ status: 401, description: "what was pasted is not an authorization response" })
})

/**
 * Shows a page, and waits for the response at a port of this machine or, with `read`, for one that is pasted. `show` may give the response
 * itself.
 */
export const interactive = (options: {
  readonly port: number | undefined
  readonly show: (page: SignInPage, redirectUrl: string) => Effect.Effect<URL | undefined | void, AuthRequired>
  readonly read?: ((problem: string | undefined) => Effect.Effect<string | undefined>) | undefined
}): Shape => {
  const { port, read, show } = options
  const open = Effect.fnUntraced(function*({ owner, preferred, server }: Request) {
    const { redirectUrl, response } = yield* Loopback.listen(candidatesOf({ server, preferred, port }))
    const answer = read === undefined ? Effect.never : pasted(redirectUrl, read)
    const ask = (url: URL) => {
      const shown = Effect.filterOrElse(
        show({ server, owner, url }, redirectUrl),
        (given): given is URL => given instanceof URL,
        () => answer
      )
      return Effect.raceFirst(response, shown).pipe(
        Effect.timeoutOrElse({ duration: timeLimit, orElse: () => Effect.fail(late()) })
      )
    }
    return { redirectUrl, ask }
  })
  return guarded({ open })
}
