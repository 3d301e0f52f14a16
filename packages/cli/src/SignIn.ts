/**
 * Sign-ins to servers: where their tokens are, and how a user is asked.
 *
 * @since 0.1.0
 */
import { Authorization } from "@mcp-sessions/core/Authorization"
import type { ServerConfig } from "@mcp-sessions/core/ServerConfig"
import { AuthRequired } from "@mcp-sessions/core/SessionError"
import { Transports } from "@mcp-sessions/core/Transport"
import type { TokenStoreFailed } from "@mcp-sessions/transports/TokenStore"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { ConfiguredServer } from "./Configured.ts"
import { Invocation } from "./Invocation.ts"
import { Output } from "./Output.ts"
import { line } from "./Shown.ts"

/**
 * The environment variable that names the directory of the tokens. The default is the directory that `TokenStore.layerFile` chooses.
 *
 * @category constants
 * @since 0.1.0
 */
export const directoryVariable = "MCP_SESSIONS_TOKENS"

/** Only commands that connect load the transports, which makes the others start faster. */
const modules = Effect.promise(() =>
  Promise.all([
    import("@mcp-sessions/transports/OAuth"),
    import("@mcp-sessions/transports/TokenStore"),
    import("@mcp-sessions/transports/Consent")
  ])
)

/**
 * How a user is asked to sign in.
 *
 * @category models
 * @since 0.1.0
 */
export interface InteractiveConsent {
  /** Whether a browser is opened. */
  readonly browser: boolean
  /** Whether the page is printed as JSON, for a program. */
  readonly json: boolean
  /** Runs when a user is asked. */
  readonly onAsk: Effect.Effect<void>
  /** Whether only what the program itself asks for asks the user: a request that a server refuses fails, and nothing is read from the terminal. */
  readonly isOnRequest?: boolean | undefined
}

const directory = Effect.map(Invocation, ({ environment }) => {
  const directory = environment[directoryVariable]
  return directory === undefined || directory === "" ? {} : { directory }
})

/**
 * Fails if the stored tokens cannot be read. The state of a sign-in does not tell an unreadable token from a missing one.
 *
 * @category checks
 * @since 0.1.0
 */
export const checkStore: Effect.Effect<void, TokenStoreFailed, Invocation> = Effect.flatMap(
  Effect.all([modules, directory]),
  ([[, { layerFile, TokenStore }], directory]) =>
    Effect.flatMap(TokenStore, ({ list }) => list("")).pipe(Effect.asVoid, Effect.provide(layerFile(directory)))
)

/** How long a browser may take to start before the address can be pasted. One that stays in the foreground never reports its start. */
const browserTimeout = "2 seconds"

/** Transports of servers that run as processes: nobody signs in to them, and they need far fewer modules. */
const processTransports: Layer.Layer<Transports | Authorization> = Layer.merge(
  Layer.unwrap(
    Effect.map(Effect.promise(() => import("@mcp-sessions/transports/Stdio")), (Stdio) =>
      Layer.succeed(Transports, {
        transport: ({ config }) =>
          config.transport === "stdio"
            ? Stdio.layer(config)
            : Layer.unwrap(Effect.die(`a server of ${config.transport} has no transport`))
      }))
  ),
  Layer.succeed(Authorization, {
    signIn: ({ refusal }) =>
      Effect.fail(refusal ?? new AuthRequired({ status: 401, description: "nobody signs in to a process" })),
    signOut: () => Effect.void,
    state: () => Effect.succeed({ _tag: "NotNeeded" })
  })
)

/**
 * Layer that provides the transports of servers, with the stored sign-ins. A server that calls for another one asks the user as `consent` says.
 * Without it, nobody is asked, and the request fails.
 *
 * @category layers
 * @since 0.1.0
 */
export const transports = (options: {
  readonly servers: ReadonlyArray<Pick<ConfiguredServer, "transport">>
  readonly consent?: InteractiveConsent | undefined
}): Layer.Layer<Transports | Authorization, never, Output | Invocation> =>
  options.servers.every(({ transport }) => transport === "stdio")
    ? processTransports
    : authorizedTransports(options.consent)

/** All sessions at the shell, those of clients of a gateway too, use the sign-ins of the user. */
const ownerOf = (): string => "default"

/** Lets requests fail that servers refuse, in place of asking. */
const onRequest = <A>(live: Layer.Layer<A | Authorization>): Layer.Layer<A | Authorization> =>
  Layer.merge(
    live,
    Layer.effect(
      Authorization,
      Effect.map(Authorization, (authorization) => ({
        ...authorization,
        signIn: (request) =>
          request.refusal === undefined ? authorization.signIn(request) : Effect.fail(request.refusal)
      }))
    ).pipe(Layer.provide(live))
  )

/** The options of both layers are written here and checked by the compiler, so a `ConfigError` of them is a defect. */
const authorizedTransports = (
  consent: InteractiveConsent | undefined
): Layer.Layer<Transports | Authorization, never, Output | Invocation> =>
  Layer.unwrap(Effect.gen(function*() {
    const [OAuth, TokenStore, Consent] = yield* modules
    const output = yield* Output
    const { stderr, stdin } = yield* Invocation
    const store = TokenStore.layerFile(yield* directory).pipe(
      // Servers that need no tokens can be used without a place for them.
      Layer.catch((failure) => {
        const fail = () => Effect.fail(failure)
        return Layer.succeed(TokenStore.TokenStore, { get: fail, put: fail, remove: fail, list: fail, locked: fail })
      })
    )
    if (consent === undefined) {
      return Layer.orDie(OAuth.layer({ ownerOf })).pipe(Layer.provide(Layer.merge(store, Consent.layerHeadless)))
    }
    const { browser, isOnRequest = false, json, onAsk } = consent
    const isTerminal = !json && !isOnRequest && stdin.isTerminal && stderr.isTerminal
    const asking = Consent.layerPrompt({
      show: Effect.fnUntraced(function*({ server, url }) {
        yield* onAsk
        if (json) yield* output.noteJson({ signIn: { server, url: url.href } })
        else yield* output.note(line`to sign in to ${server}, open ${url.href}`)
        if (!browser) return
        const isOpen = yield* Effect.timeoutOrElse(Consent.openBrowser(url), {
          duration: browserTimeout,
          orElse: () => Effect.succeed(true)
        })
        if (!isOpen && !json) yield* output.note(line`no browser can be opened here`)
      }),
      read: (problem) =>
        !isTerminal ? Effect.undefined : Effect.andThen(
          problem === undefined ? Effect.void : output.note(output.styleNote("yellow", problem)),
          stdin.readLine({
            prompt: "waiting for the browser; on another machine, paste the address of its last page here: "
          })
        )
    })
    const live = Layer.orDie(OAuth.layer({ ownerOf }).pipe(Layer.provide(Layer.merge(store, asking))))
    return isOnRequest ? onRequest(live) : live
  }))

/**
 * Whether a sign-in is possible at a server.
 *
 * @category guards
 * @since 0.1.0
 */
export const isPossible = (config: ServerConfig): Effect.Effect<boolean> =>
  Effect.map(modules, ([{ isSignInPossible }]) => isSignInPossible(config))
