/**
 * How a user is asked to sign in: {@link Consent} shows the page of an authorization server, and receives its answer.
 *
 * `OAuth` asks when a server requires a sign-in that no stored token spares. Which layer to provide:
 *
 * | program                                        | layer                                                          |
 * | ---------------------------------------------- | -------------------------------------------------------------- |
 * | on the desktop of its user                     | {@link layerBrowser}                                           |
 * | in a terminal, perhaps on another machine      | {@link layerPrompt}                                            |
 * | nobody is there: a service, CI                 | {@link layerHeadless}                                          |
 * | a server with users of its own, a chat, an IDE | its own, made with {@link make}                                |
 *
 * **Example** (Showing a link to a user of a web program)
 *
 * ```ts import.meta.vitest
 * import { Consent } from "@mcp-sessions/transports"
 * import { Deferred, Effect, Fiber } from "effect"
 *
 * const waiting = new Map()
 * const consent = Consent.make({
 *   open: ({ owner }) => Effect.succeed({
 *     redirectUrl: "https://agent.example/oauth/callback",
 *     ask: (link) => Effect.gen(function*() {
 *       const answer = yield* Deferred.make()
 *       waiting.set(owner, { link, answer })
 *       return yield* Deferred.await(answer)
 *     })
 *   })
 * })
 * // The handler of the callback route finds the owner by its own session, and completes the sign-in.
 * const visit = (owner, url) => Deferred.succeed(waiting.get(owner).answer, url)
 *
 * const program = Effect.gen(function*() {
 *   const { ask } = yield* consent.open({ server: "files", owner: "ada", preferred: [] })
 *   const signIn = yield* Effect.forkChild(ask(new URL("https://login.example/authorize")), { startImmediately: true })
 *   yield* visit("ada", new URL("https://agent.example/oauth/callback?code=c&state=s"))
 *   return (yield* Fiber.join(signIn)).searchParams.get("code")
 * })
 * await Effect.runPromise(Effect.scoped(program)) // => "c"
 * ```
 *
 * @since 0.1.0
 */
import type { ConfigError } from "@mcp-sessions/core/ConfigError"
import * as Console from "effect/Console"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as browser from "./internal/consent/browser.ts"
import type { Shape } from "./internal/consent/consentPort.ts"
import * as consents from "./internal/consent/consents.ts"
import type { SignInPage } from "./internal/consent/consents.ts"
import { checkKeys, keysOf } from "./internal/unknownKeys.ts"

export type {
  /**
   * A page that a user is to visit, to sign in an owner to a server.
   *
   * @category models
   * @since 0.1.0
   */
  SignInPage
} from "./internal/consent/consents.ts"

export type {
  /**
   * A place that an authorization server can redirect to, and the question to the user.
   *
   * @category models
   * @since 0.1.0
   */
  Opened,
  /**
   * An owner who is to sign in to a server, and the redirect URLs that the client is registered with, best first.
   *
   * @category models
   * @since 0.1.0
   */
  Request,
  /**
   * The operations of a consent.
   *
   * @category models
   * @since 0.1.0
   */
  Shape
} from "./internal/consent/consentPort.ts"

/**
 * Service that asks users to sign in.
 *
 * **Details**
 *
 * `ask` returns the URL that the authorization server redirected to, as it is. `OAuth` checks its `state` and `iss`, and exchanges its code.
 *
 * @category services
 * @since 0.1.0
 */
export class Consent extends Context.Service<Consent, Shape>()("@mcp-sessions/transports/Consent") {}

/**
 * Makes a consent of a program: `ask` receives only `https` and `http` URLs, and fails with `AuthRequired` on others.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: (shape: Shape) => Consent["Service"] = consents.guarded

/**
 * Layer that asks nobody: a sign-in fails at once with `AuthRequired`, which has the URL that a user would have to visit.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerHeadless: Layer.Layer<Consent> = Layer.succeed(Consent, consents.headless)

/**
 * Opens a page in the user's browser, without a shell, and returns whether a browser took it: the first command of `BROWSER` that works, or
 * that of the platform. A browser that runs in the foreground takes as long as it is open; it is left open if the fiber is interrupted. For
 * consents of programs.
 *
 * @category combinators
 * @since 0.1.0
 */
export const openBrowser: (url: URL) => Effect.Effect<boolean> = browser.open

/**
 * Options of {@link layerBrowser}.
 *
 * @category models
 * @since 0.1.0
 */
export interface BrowserOptions {
  /** The port to listen on, if no redirect URL is registered. */
  readonly port?: number | undefined
  /** Shows the page if no browser can be started. The default writes a line to stderr. */
  readonly show?: ((page: SignInPage) => Effect.Effect<void>) | undefined
}

/**
 * Options of {@link layerPrompt}.
 *
 * @category models
 * @since 0.1.0
 */
export interface PromptOptions {
  /** The port to listen on, if no redirect URL is registered. */
  readonly port?: number | undefined
  /** Shows the page. */
  readonly show: (page: SignInPage) => Effect.Effect<void>
  /**
   * Reads what the user pastes; `undefined` is the end of the input. After something else, it is called again with the `problem`, three times
   * in all.
   */
  readonly read: (problem: string | undefined) => Effect.Effect<string | undefined>
}

const browserKeys = keysOf<BrowserOptions>({ port: true, show: true })
const promptKeys = keysOf<PromptOptions>({ port: true, read: true, show: true })

/**
 * Layer that opens the user's browser, and receives the answer at a port of 127.0.0.1.
 *
 * **Details**
 *
 * The port is that of a redirect URL that the client is registered with, `port`, or one derived from the name of the server, whichever is free
 * first; otherwise any. It is open only during a sign-in, which takes 5 minutes at most, and takes only requests for the redirect URL that
 * no page has embedded. The browser is started without a shell: the first command of `BROWSER` that works, or that of the
 * platform. If none can be started, the page is shown with `show`. Fails with a `ConfigError` if an option is unknown.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerBrowser = (options: BrowserOptions = {}): Layer.Layer<Consent, ConfigError> => {
  const show = options.show ?? (({ server, url }) => Console.error(`To sign in to ${server}, open ${url.href}`))
  const consent = consents.interactive({
    port: options.port,
    show: (page) => Effect.flatMap(browser.open(page.url), (isOpen) => isOpen ? Effect.void : show(page))
  })
  return Layer.effect(Consent, Effect.as(checkKeys({ options, known: browserKeys }), consent))
}

/**
 * Layer that shows the page, and takes the URL of the last page that the user pastes, or the answer at a port of 127.0.0.1, whichever comes
 * first.
 *
 * The browser may run on another machine: its last page cannot be loaded there, but its address has the answer. Fails with a `ConfigError` if an
 * option is unknown.
 *
 * **Example** (Pasting the address of the last page)
 *
 * ```ts import.meta.vitest
 * import { Consent } from "@mcp-sessions/transports"
 * import { Effect } from "effect"
 *
 * const live = Consent.layerPrompt({
 *   show: ({ server, url }) => Effect.log(`To sign in to ${server}, open ${url}`),
 *   read: () => Effect.succeed("/callback?code=c&state=s")
 * })
 * const program = Effect.gen(function*() {
 *   const { open } = yield* Consent.Consent
 *   const { ask } = yield* open({ server: "files", owner: "default", preferred: [] })
 *   return (yield* ask(new URL("https://login.example/authorize"))).searchParams.get("code")
 * })
 * await Effect.runPromise(program.pipe(Effect.scoped, Effect.provide(live))) // => "c"
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerPrompt = (options: PromptOptions): Layer.Layer<Consent, ConfigError> =>
  Layer.effect(
    Consent,
    Effect.map(
      checkKeys({ options, known: promptKeys }),
      () => consents.interactive({ ...options, port: options.port })
    )
  )
