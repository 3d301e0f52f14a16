/**
 * Sign-ins for plain TypeScript: what `McpSessions.open` and `McpSessions.fromFile` take as `authorization`.
 *
 * {@link make} takes plain values and async functions, and makes what `OAuth`, `Consent` and `TokenStore` are for programs with Effect. A program that
 * does not import it does not load the code of sign-ins.
 *
 * | program                                        | `signIn`                                               |
 * | ---------------------------------------------- | ------------------------------------------------------ |
 * | on the desktop of its user                     | `"browser"`                                            |
 * | in a terminal                                  | a function that prints the page                        |
 * | a server with users of its own, a chat, an IDE | a function that shows a link, and `redirectUrl`        |
 * | nobody is there: a service, CI                 | none; definitions have `grant: "client_credentials"`   |
 *
 * **Example** (Signing in in the browser, and keeping the tokens)
 *
 * ```ts import.meta.vitest
 * import { McpAuthorization, McpSessions } from "@mcp-sessions/transports"
 *
 * await using sessions = McpSessions.open({
 *   servers: { files: { url: "https://files.example/mcp" } },
 *   authorization: McpAuthorization.make({ signIn: "browser", tokens: "file" })
 * })
 * const { _tag } = await sessions.signInState("files")
 * _tag // => "NotNeeded"
 * ```
 *
 * @since 0.1.0
 */
import type { Authorization } from "@mcp-sessions/core/Authorization"
import { ConfigError, type ConfigProblem, InvalidValue } from "@mcp-sessions/core/ConfigError"
import type { Host } from "@mcp-sessions/core/Host"
import type { TimeSpan } from "@mcp-sessions/core/McpSessions"
import type { Transports } from "@mcp-sessions/core/Transport"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Redacted from "effect/Redacted"
import * as Consent from "./Consent.ts"
import { type AskToSignIn, make as plainConsent, type SignInPage } from "./internal/consent/plainConsent.ts"
import { isPlainStore, make as plainStore, type PlainStore } from "./internal/tokenStore/plainStore.ts"
import { unknownKeys } from "./internal/unknownKeys.ts"
import * as OAuth from "./OAuth.ts"
import * as TokenStore from "./TokenStore.ts"

export type { AskToSignIn, PlainStore, SignInPage }

/**
 * How owners are signed in. Made by {@link make}.
 *
 * @category models
 * @since 0.1.0
 */
export interface McpAuthorization {
  /** The transports that use the tokens, and the service that signs in. */
  readonly layer: Layer.Layer<Transports | Authorization | Host, ConfigError>
}

/**
 * Options of sign-ins.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /**
   * Asks a user: `"browser"` opens the browser of this machine; a function shows the page its own way. Default: nobody is asked, and a server
   * that wants a user to sign in fails with `AuthRequired`, which has the page.
   */
  readonly signIn?: "browser" | AskToSignIn | undefined
  /**
   * The URL of the program that authorization servers redirect users to. `signIn` is then a function, and returns the URL of that request, or
   * nothing: the call fails with `AuthRequired`, and the user signs in later. Default: a port of 127.0.0.1, which is open during a sign-in.
   */
  readonly redirectUrl?: string | undefined
  /**
   * Where tokens and registered clients are kept: in memory, in the directory of the user's state (`"file"`), in another directory, or in a
   * store of the program. Default: `"memory"`.
   */
  readonly tokens?: "memory" | "file" | { readonly directory: string } | PlainStore | undefined
  /** The name that users and authorization servers see. Default: `"mcp-sessions"`. */
  readonly clientName?: string | undefined
  /** How long before its end a token is renewed, at most a third of its lifetime. Default: 1 minute. */
  readonly refreshAhead?: TimeSpan | undefined
  /**
   * Makes the assertions of definitions whose `grant` is `jwt_bearer`. Default: none, and such servers fail. A rejection fails the call with
   * `AuthorizationFailed`, which another attempt may help.
   */
  readonly assertion?: ((target: OAuth.AssertionTarget) => string | Promise<string>) | undefined
}

const isDirectory = (tokens: unknown): tokens is { readonly directory: string } =>
  Predicate.isObject(tokens) && typeof (tokens as { readonly directory?: unknown }).directory === "string"

const rules: ReadonlyArray<readonly [keyof Options, (value: unknown) => boolean, string]> = [
  ["signIn", (value) => value === "browser" || typeof value === "function", "\"browser\" or a function"],
  ["redirectUrl", (value) => typeof value === "string" && URL.canParse(value), "a URL"],
  [
    "tokens",
    (value) => value === "memory" || value === "file" || isDirectory(value) || isPlainStore(value),
    "\"memory\", \"file\", a directory, or an object of the functions \"get\", \"set\" and \"delete\""
  ],
  ["clientName", (value) => typeof value === "string" && value !== "", "text"],
  [
    "refreshAhead",
    (value) =>
      (typeof value === "number" || typeof value === "string") && Option.isSome(Duration.fromInput(value as TimeSpan)),
    "a duration"
  ],
  ["assertion", (value) => typeof value === "function", "a function"]
]

const bad = (key: string | undefined, expected: string): InvalidValue =>
  new InvalidValue({ path: ["authorization", ...(key === undefined ? [] : [key])], expected })

const problemsOf = (options: unknown): ReadonlyArray<ConfigProblem> => {
  if (!Predicate.isObject(options)) return [bad(undefined, "an object of options")]
  const given = options as Options
  const problems = [
    ...unknownKeys({ options, known: rules.map(([key]) => key), path: ["authorization"] }),
    ...rules.flatMap(([key, is, expected]) => given[key] === undefined || is(given[key]) ? [] : [bad(key, expected)])
  ]
  return given.redirectUrl !== undefined && typeof given.signIn !== "function" && problems.length === 0
    ? [bad("signIn", "a function, which returns the URL of the request to redirectUrl")]
    : problems
}

const consentOf = ({ redirectUrl, signIn }: Options): Layer.Layer<Consent.Consent, ConfigError> => {
  if (signIn === undefined) return Consent.layerHeadless
  return signIn === "browser"
    ? Consent.layerBrowser()
    : Layer.succeed(Consent.Consent, plainConsent({ ask: signIn, redirectUrl }))
}

const storeOf = ({ tokens }: Options): Layer.Layer<TokenStore.TokenStore, ConfigError> => {
  if (tokens === undefined || tokens === "memory") return TokenStore.layerMemory
  if (isPlainStore(tokens)) return Layer.sync(TokenStore.TokenStore, () => plainStore(tokens))
  return Layer.catch(
    TokenStore.layerFile(tokens === "file" ? undefined : { directory: tokens.directory }),
    ({ message }) =>
      Layer.effect(TokenStore.TokenStore, Effect.fail(failWith([bad("tokens", `a place for them; ${message}`)])))
  )
}

const failWith = ([first, ...others]: ReadonlyArray<ConfigProblem>): ConfigError =>
  new ConfigError({ problems: [first as ConfigProblem, ...others] })

const assertionOf = (assertion: NonNullable<Options["assertion"]>): OAuth.OAuthOptions["assertion"] => (target) =>
  Effect.tryPromise({
    try: () =>
      Promise.resolve(target).then(assertion).then((text: unknown) => {
        if (typeof text !== "string") throw new TypeError("an assertion is text")
        return Redacted.make(text)
      }),
    catch: () =>
      new OAuth.AssertionFailed({ description: "the program could not make the assertion", isRetryable: true })
  })

/**
 * Makes the option `authorization` of `McpSessions.open` and `McpSessions.fromFile`. Options that are not what they must be reject the first
 * use with a `ConfigError`.
 *
 * **Details**
 *
 * A server that refuses a request with 401 has its owner signed in, and the request is sent once more: it did not run. `sessions.signIn`
 * signs in ahead of the first call, `sessions.signOut` forgets the tokens and revokes them, and `sessions.signInState` says how things are.
 * Definitions say which grant is used, by their key `auth`.
 *
 * **Example** (Showing a link to a user of a web program)
 *
 * ```ts import.meta.vitest
 * import { McpAuthorization } from "@mcp-sessions/transports"
 *
 * const waiting = new Map<string, (url: string) => void>()
 * const authorization = McpAuthorization.make({
 *   redirectUrl: "https://agent.example/oauth/callback",
 *   // The page goes to the user; the handler of the callback route calls `waiting.get(owner)` with the URL of its request.
 *   signIn: ({ owner, signal, url }) =>
 *     new Promise((resolve) => {
 *       waiting.set(owner, resolve)
 *       signal.addEventListener("abort", () => waiting.delete(owner))
 *     }),
 *   tokens: new Map()
 * })
 * Object.keys(authorization) // => ["layer"]
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options = {}): McpAuthorization => ({
  layer: Layer.unwrap(Effect.suspend(() => {
    const problems = problemsOf(options)
    if (problems.length > 0) return Effect.fail(failWith(problems))
    const { assertion, clientName, refreshAhead } = options
    return Effect.succeed(
      OAuth.layer({
        clientName,
        refreshAhead,
        assertion: assertion === undefined ? undefined : assertionOf(assertion)
      }).pipe(Layer.provide(Layer.merge(storeOf(options), consentOf(options))))
    )
  }))
})
