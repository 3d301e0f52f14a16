/**
 * `serve`: one MCP endpoint for all servers.
 */
import type { ConfigError } from "@mcp-sessions/core/ConfigError"
import * as Sessions from "@mcp-sessions/core/Sessions"
import type { AuditRecord, JwtOptions } from "@mcp-sessions/transports/Gateway"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as DateTime from "effect/DateTime"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { errorOf, usableOf } from "../Configured.ts"
import { type Failure, UsageError } from "../Failure.ts"
import { envelope, lines } from "../FailureText.ts"
import { Output } from "../Output.ts"
import { line } from "../Shown.ts"
import { transports } from "../SignIn.ts"
import { announcement } from "./announce.ts"
import { fleetFlags, readFleet } from "./fleet.ts"
import { splitNames } from "./holding.ts"
import { toListenError } from "./listenError.ts"
import { toFlagError } from "./optionFlags.ts"
import { consentOfPage, notePage } from "./page.ts"
import { root, wholeNumberFlag } from "./root.ts"
import { chooseServers, loadConfigured } from "./selection.ts"
import { serveExamples } from "./serveExamples.ts"
import { defaults, problemsOf } from "./serveFlagProblems.ts"
import { logToStderr } from "./serveLog.ts"
import { withRetryNotes } from "./sessions.ts"
import { readStores, redisFlag } from "./sharedLimits.ts"
import { checkOperators, readTokens } from "./tokensFile.ts"

/** Returns the options of access tokens; `undefined` without an issuer. */
const jwtOf = ({ audience, issuer, jwks, requireScope }: {
  readonly issuer: Option.Option<string>
  readonly audience: ReadonlyArray<string>
  readonly jwks: Option.Option<string>
  readonly requireScope: ReadonlyArray<string>
}): JwtOptions | undefined =>
  Option.isNone(issuer) ? undefined : {
    issuer: issuer.value,
    audience: audience.length === 0 ? undefined : audience,
    jwksUri: Option.getOrUndefined(jwks),
    requiredScopes: requireScope
  }

const texts = (...[name, metavar, description]: readonly [string, string, string]) =>
  Flag.String(name).pipe(
    Flag.withMetavar(metavar),
    Flag.withDescription(`${description}; can be repeated`),
    Flag.atLeast(0)
  )

export const serve = Command.make(
  "serve",
  {
    names: Argument.String("server").pipe(
      Argument.withDescription("Servers to serve (default: all enabled servers)"),
      Argument.variadic()
    ),
    host: Flag.String("host").pipe(
      Flag.withDescription(
        "Address to listen on (default: 127.0.0.1); addresses other than loopback need --tokens or --issuer"
      ),
      Flag.withDefault(defaults.host)
    ),
    port: wholeNumberFlag({ name: "port", minimum: 0, maximum: 65_535 }).pipe(
      Flag.withDescription("Port to listen on (default: 0, a free port)"),
      Flag.withDefault(defaults.port)
    ),
    path: Flag.String("path").pipe(
      Flag.withDescription("Path of the endpoint (default: /mcp)"),
      Flag.withDefault(defaults.path)
    ),
    tokens: Flag.String("tokens").pipe(
      Flag.withMetavar("file"),
      Flag.withDescription(
        "JSON file with an object that maps principals to bearer tokens; requests then need a token"
      ),
      Flag.optional
    ),
    issuer: Flag.String("issuer").pipe(
      Flag.withMetavar("url"),
      Flag.withDescription("Authorization server whose access tokens (JWT) are accepted; requests then need a token"),
      Flag.optional
    ),
    audience: texts("audience", "text", "Audience of access tokens to accept (default: the URL of the endpoint)"),
    jwks: Flag.String("jwks").pipe(
      Flag.withMetavar("url"),
      Flag.withDescription("URL of the keys of the issuer (default: from the metadata of the issuer)"),
      Flag.optional
    ),
    requireScope: texts("require-scope", "scope", "Scope that each access token must have"),
    publicUrl: Flag.String("public-url").pipe(
      Flag.withMetavar("url"),
      Flag.withDescription("URL at which clients reach the endpoint, if it is behind a proxy"),
      Flag.optional
    ),
    include: texts("include", "server/tool", "Tools to offer, where * stands for any characters (default: all)"),
    exclude: texts("exclude", "server/tool", "Tools to leave out, where * stands for any characters"),
    resources: texts("resources", "server", "Servers whose resources to offer (default: all)"),
    allowHost: texts("allow-host", "name", "Host name to allow in requests, in addition to loopback names"),
    allowOrigin: texts("allow-origin", "origin", "Origin of web pages to allow, such as https://app.example.com"),
    audit: Flag.Boolean("audit").pipe(
      Flag.withDescription(
        "Write one line of JSON to stderr for each call, without arguments and results, and for each refused token"
      ),
      Flag.withDefault(false)
    ),
    ui: Flag.Boolean("ui").pipe(
      Flag.withDescription("Serve the dashboard page at /ui: servers, sessions, calls, and a form for tools"),
      Flag.withDefault(false)
    ),
    operator: texts(
      "operator",
      "principal",
      "Principal who sees and controls everything on the dashboard page, if tokens are used"
    ),
    stdio: Flag.Boolean("stdio").pipe(
      Flag.withDescription("Serve one client on stdin and stdout instead of a URL, until stdin ends"),
      Flag.withDefault(false)
    ),
    redis: redisFlag,
    ...fleetFlags
  },
  (
    {
      allowHost,
      allowOrigin,
      audit,
      exclude,
      host,
      include,
      names,
      operator,
      path,
      port,
      publicUrl,
      redis,
      resources,
      stdio,
      tokens,
      ui,
      ...others
    }
  ) =>
    Effect.gen(function*() {
      // Other commands start faster without this.
      const Gateway = yield* Effect.promise(() => import("@mcp-sessions/transports/Gateway"))
      const output = yield* Output
      const { json } = yield* root
      const [first, ...rest] = problemsOf({
        allowHost,
        allowOrigin,
        host,
        operator,
        path,
        port,
        publicUrl,
        stdio,
        tokens,
        ui,
        ...others
      })
      if (first !== undefined) return yield* new UsageError({ problems: [first, ...rest] })
      const { router, sessionKey } = yield* readFleet(others, stdio)
      const stores = yield* readStores(redis)
      const known = names.some((name) => name.includes(",")) ? splitNames(names, yield* loadConfigured) : names
      const { servers } = yield* chooseServers(known)
      const note = (error: Failure) =>
        json
          ? output.noteJson({ error: envelope(error) })
          : Effect.forEach(lines(error), output.note, { discard: true })
      // One bad entry does not prevent the other servers from being served.
      const unusable = errorOf(servers)
      const usable = usableOf(servers)
      if (unusable !== undefined && usable.length === 0) return yield* unusable
      if (unusable !== undefined) yield* note(unusable)
      const made = yield* Deferred.make<Sessions.Sessions["Service"]>()
      const sessions = Sessions.layerConfiguration({
        configuration: { servers: usable },
        retry: yield* withRetryNotes(json)
      }).pipe(
        Layer.provide(transports({ servers: usable, consent: ui ? consentOfPage(json) : undefined })),
        Layer.tap((context) => Deferred.succeed(made, Context.get(context, Sessions.Sessions)))
      )
      const writeAudit = (record: AuditRecord) =>
        Effect.flatMap(
          Clock.currentTimeMillis,
          (time) => output.noteJson({ audit: { time: DateTime.formatIso(DateTime.makeUnsafe(time)), ...record } })
        )
      const offered = {
        sessions,
        include: include.length === 0 ? undefined : include,
        exclude,
        resources: resources.length === 0 ? undefined : resources,
        audit: audit ? writeAudit : undefined
      }
      const toOptionError = (error: ConfigError) => Effect.fail(toFlagError(error))
      const toCollisionError = ({ message }: { readonly message: string }) =>
        Effect.fail(
          new UsageError({
            problems: [message],
            hint:
              "--resources <server> selects the servers whose resources are offered; --exclude <server>/<tool> leaves out tools"
          })
        )
      const logger = yield* logToStderr
      if (stdio) {
        return yield* Gateway.serveStdio(offered).pipe(
          Effect.provide(Layer.provideMerge(stores, logger)),
          Effect.catchTags({ ConfigError: toOptionError, NameCollision: toCollisionError })
        )
      }
      const principals = Option.isSome(tokens) ? yield* readTokens(tokens.value) : undefined
      yield* checkOperators({ operator, principals, issuer: others.issuer })
      const gateway = Gateway.layer({
        ...offered,
        host,
        port,
        path,
        tokens: principals,
        jwt: jwtOf(others),
        publicUrl: Option.getOrUndefined(publicUrl),
        sessionKey,
        allowedHosts: allowHost,
        allowedOrigins: allowOrigin,
        ui,
        onPageUrl: yield* notePage,
        operators: operator
      })
      const { url } = Context.get(
        yield* Layer.build(gateway.pipe(Layer.provide([router, stores]), Layer.provide(logger))).pipe(
          Effect.catchTags({
            ConfigError: toOptionError,
            ListenFailed: (failure) => Effect.fail(toListenError(failure, port)),
            NameCollision: toCollisionError
          })
        ),
        Gateway.Gateway
      )
      if (json) {
        yield* output.printJsonLine({
          schema: "mcp-sessions/1",
          url,
          servers: usable.map(({ name }) => name)
        })
      } else {
        yield* output.print(line`${url}`)
        yield* output.note(yield* announcement(yield* Deferred.await(made), usable.map(({ name }) => name)))
      }
      return yield* Effect.never
    }).pipe(Effect.scoped)
).pipe(
  Command.withDescription("Serve MCP servers at one URL, which is the first line on stdout"),
  Command.withExamples(serveExamples)
)
