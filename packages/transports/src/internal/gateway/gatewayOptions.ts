/**
 * Options of a gateway: checked as a whole before anything is opened.
 */
import { ConfigError, type ConfigProblem, InvalidValue } from "@mcp-sessions/core/ConfigError"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Redacted from "effect/Redacted"
import { isServerUrl, type JwtOptions, type ReadJwtOptions, readJwtOptions } from "../accessTokens/jwtOptions.ts"
import { isLoopback } from "../loopback.ts"
import { keysOf, unknownKeys } from "../unknownKeys.ts"
import { problemsOfTokens } from "./admission/staticTokens.ts"
import type { Audit } from "./call/audit.ts"
import { wellKnownPath } from "./http/resourceMetadata.ts"
import { keyBytes } from "./protocol/sealedIds.ts"

/**
 * Limits of a gateway. Each is a whole number from 1 to 1,000,000. `maxBodyBytes` is at most 256 MiB, and the limits of bytes in flight are at most
 * 64 GiB and at least `maxBodyBytes`.
 *
 * @category models
 * @since 0.1.0
 */
export interface GatewayLimits {
  /** The largest body of a request, in bytes. A larger one is refused with 413. Default: 4 MiB. */
  readonly maxBodyBytes?: number | undefined
  /** How many client sessions are open at a time. Default: 10,000. */
  readonly maxSessions?: number | undefined
  /** How many client sessions one principal has at a time. Default: 2,000. */
  readonly maxSessionsPerPrincipal?: number | undefined
  /** How many POSTs are in flight at a time. While it is reached, a principal below its equal share is still admitted. Default: 1,024. */
  readonly maxInFlight?: number | undefined
  /** How many POSTs of one principal are in flight at a time. More are refused with 429. Default: 256. */
  readonly maxInFlightPerPrincipal?: number | undefined
  /**
   * Bytes of request bodies that were received and whose POSTs are in flight. While it is reached, a principal below its equal share is
   * still admitted. Default: 256 MiB.
   */
  readonly maxInFlightBytes?: number | undefined
  /**
   * How many bytes the bodies of the POSTs of one principal in flight have. More are refused with 429. At least `maxBodyBytes`. Default: 64 MiB, or
   * `maxBodyBytes` if that is more.
   */
  readonly maxInFlightBytesPerPrincipal?: number | undefined
  /**
   * How many calls wait for answers of their clients (elicitation, sampling, roots) at a time. While it is reached, a principal below its equal
   * share is still admitted. At each server, they have at most half of `maxInFlight` and `maxInFlightTotal` of its definition, and one at least.
   * Default: 1,024.
   */
  readonly maxWaiting?: number | undefined
  /** How many calls of one principal wait at a time. Any other that would wait fails with the code -32000. Default: 64. */
  readonly maxWaitingPerPrincipal?: number | undefined
  /**
   * The average rate of POSTs of one principal, per second. A burst may have twice as many. Gateways with one `RateLimiterStore` share it.
   * Default: 5,000.
   */
  readonly requestsPerSecond?: number | undefined
  /**
   * How many tasks are kept at a time: those that run, and those whose outcome is kept. While it is reached, a principal below its equal share may
   * still have one. Default: 10,000.
   */
  readonly maxTasks?: number | undefined
  /** How many tasks of one principal are kept at a time. Default: 1,000. */
  readonly maxTasksPerPrincipal?: number | undefined
}

/**
 * Options of a gateway without its sessions. Durations are at most 24 days.
 *
 * @category models
 * @since 0.1.0
 */
export interface GatewayOptions {
  /** The address to listen on. An address other than one of loopback needs `tokens` or `jwt`. Default: `"127.0.0.1"`. */
  readonly host?: string | undefined
  /** The port to listen on; 0 takes a free one. Default: 0. */
  readonly port?: number | undefined
  /** The path of the endpoint. Default: `"/mcp"`. */
  readonly path?: string | undefined
  /** The servers that are offered. Default: all that are not disabled. */
  readonly servers?: ReadonlyArray<string> | undefined
  /** The tools that are offered, as patterns `server/tool`, as in `ToolCatalog`. Default: all. */
  readonly include?: ReadonlyArray<string> | undefined
  /** The tools that are not offered, as patterns. They win over `include`. Default: none. */
  readonly exclude?: ReadonlyArray<string> | undefined
  /** The servers whose resources and templates are offered. Default: all. */
  readonly resources?: ReadonlyArray<string> | undefined
  /** Whether the names of tools and prompts are `server_name`. Default: if there are several servers. */
  readonly prefix?: boolean | undefined
  /**
   * The bearer token of each principal, by its name: 16 characters or more, without spaces, and different from those of the others. Default: none.
   * Without `tokens` and `jwt`, every request is of one principal.
   */
  readonly tokens?: Readonly<Record<string, Redacted.Redacted<string>>> | undefined
  /** The issuers whose access tokens are accepted, beside `tokens`. Default: none. */
  readonly jwt?: JwtOptions | ReadonlyArray<JwtOptions> | undefined
  /**
   * The URL of the endpoint as clients reach it, through a proxy: https, or http on loopback. It is the `resource` of access tokens, and its host
   * and its origin are allowed. With `jwt`, an address other than one of loopback needs it. Default: the address, the port and the path.
   */
  readonly publicUrl?: string | undefined
  /**
   * Keys of 32 random bytes, 1 to 8, that seal the ids of sessions and tasks. The first one seals, and all of them open, so that a key can be
   * replaced. The layers of `SessionRouter` need one that all processes share. Without a router, a key keeps no session beyond its process: the
   * task of a process before is then shown as failed with the reason `OutcomeUnknown`, and without a key as unknown. Default: a random key for
   * each process.
   */
  readonly sessionKey?:
    | Redacted.Redacted<Uint8Array>
    | ReadonlyArray<Redacted.Redacted<Uint8Array>>
    | undefined
  /** Values of `Host` that are allowed beside those of loopback, without a port. Default: none; on another address, any. */
  readonly allowedHosts?: ReadonlyArray<string> | undefined
  /** Values of `Origin` that are allowed beside those of loopback, such as `https://app.example.com`. Default: none. */
  readonly allowedOrigins?: ReadonlyArray<string> | undefined
  /**
   * Receives a record of each use of a server by a client, and of tokens that are not accepted, one at a time and in order. It holds no arguments,
   * results and tokens. Up to 10,000 records wait for it. Beyond that, records are dropped until 5,000 wait, with a warning. Default: none.
   */
  readonly audit?: Audit | undefined
  /** Whether there is a web page at `/ui`. Default: `false`. */
  readonly ui?: boolean | undefined
  /**
   * Receives the URL that opens the page. Without tokens, called again with the next URL each time that a URL was used. Default: logs the URL.
   */
  readonly onPageUrl?: ((url: string) => Effect.Effect<void>) | undefined
  /**
   * The principals whose page shows the sessions, calls and errors of all, and restarts and ejects servers. Without tokens, every caller may.
   * Default: none.
   */
  readonly operators?: ReadonlyArray<string> | undefined
  /** What clients may use. */
  readonly limits?: GatewayLimits | undefined
  /** How long a client session may stay unused, without a request or a stream. Default: 30 minutes. */
  readonly idleTimeToLive?: Duration.Input | undefined
  /** How long the start waits for the lists of servers. Lists that arrive later are added. Default: 5 seconds. */
  readonly startTimeout?: Duration.Input | undefined
  /** How long the end waits for requests in flight. Default: 5 seconds. */
  readonly drainTimeout?: Duration.Input | undefined
}

/** The options with their defaults. */
export interface ReadOptions {
  readonly host: string
  readonly port: number
  readonly path: string
  readonly tokens: Readonly<Record<string, Redacted.Redacted<string>>>
  readonly issuers: ReadonlyArray<ReadJwtOptions>
  readonly publicUrl: string | undefined
  readonly sessionKeys: ReadonlyArray<Redacted.Redacted<Uint8Array>>
  readonly allowedHosts: ReadonlyArray<string>
  readonly allowedOrigins: ReadonlyArray<string>
  readonly operators: ReadonlyArray<string>
  readonly limits: { readonly [K in keyof GatewayLimits]-?: number }
  readonly idleTimeToLive: Duration.Duration
  readonly startTimeout: Duration.Duration
  readonly drainTimeout: Duration.Duration
}

/** The default of each limit, and the largest value. */
const limitBounds: { readonly [K in keyof GatewayLimits]-?: readonly [fallback: number, largest: number] } = {
  // A body becomes one text, of which Node holds 512 MiB at most.
  maxBodyBytes: [4 * 1024 ** 2, 256 * 1024 ** 2],
  maxSessions: [10_000, 1_000_000],
  maxSessionsPerPrincipal: [2000, 1_000_000],
  maxInFlight: [1024, 1_000_000],
  maxInFlightPerPrincipal: [256, 1_000_000],
  maxInFlightBytes: [256 * 1024 ** 2, 64 * 1024 ** 3],
  maxInFlightBytesPerPrincipal: [64 * 1024 ** 2, 64 * 1024 ** 3],
  maxWaiting: [1024, 1_000_000],
  maxWaitingPerPrincipal: [64, 1_000_000],
  requestsPerSecond: [5000, 1_000_000],
  maxTasks: [10_000, 1_000_000],
  maxTasksPerPrincipal: [1000, 1_000_000]
}

/** The longest duration, which timers of Node can still wait for. */
const longestDuration = Duration.days(24)

/** How many keys may open session ids. */
const mostKeys = 8

const isKey = (value: unknown): boolean => value instanceof Uint8Array && value.byteLength === keyBytes

/** The paths that the gateway has beside the endpoint. */
export const ownPaths = { health: "/healthz", ready: "/readyz", metrics: "/metrics", page: "/ui" } as const

const isPath = (path: string): boolean =>
  /^\/[\w\-./~]*$/.test(path) && !Object.values<string>(ownPaths).includes(path) && !path.startsWith(wellKnownPath) &&
  !path.startsWith(`${ownPaths.page}/`)

interface WithSessions extends GatewayOptions {
  readonly sessions: unknown
}

const keys = keysOf<WithSessions>({
  allowedHosts: true,
  allowedOrigins: true,
  audit: true,
  drainTimeout: true,
  exclude: true,
  host: true,
  idleTimeToLive: true,
  include: true,
  jwt: true,
  limits: true,
  onPageUrl: true,
  operators: true,
  path: true,
  port: true,
  prefix: true,
  publicUrl: true,
  resources: true,
  servers: true,
  sessionKey: true,
  sessions: true,
  startTimeout: true,
  tokens: true,
  ui: true
})

/** What is read beside the options. */
interface ReadContext {
  /** The keys that the options may have. Default: all. */
  readonly known?: ReadonlyArray<string>
  /** Finds the problems of the router with the keys of session ids. */
  readonly problemsOfRouter?: (keys: ReadOptions["sessionKeys"]) => ReadonlyArray<ConfigProblem>
}

/** Reads the options, with all their problems at once, and those of the router. */
export const readOptions = (
  ...[options, { known = keys, problemsOfRouter = () => [] } = {}]: readonly [
    options: GatewayOptions,
    context?: ReadContext
  ]
): Effect.Effect<ReadOptions, ConfigError> => {
  const problems: Array<ConfigProblem> = [
    ...unknownKeys({ options, known, path: [] }),
    ...unknownKeys({ options: options.limits, known: Object.keys(limitBounds), path: ["limits"] })
  ]
  const expect = (isValid: boolean, path: ReadonlyArray<string>, expected: string) => {
    if (!isValid) problems.push(new InvalidValue({ path, expected }))
  }
  const durationOf = (key: "drainTimeout" | "idleTimeToLive" | "startTimeout", fallback: Duration.Input) => {
    const given = options[key] ?? fallback
    const duration = Number.isNaN(given) ? undefined : Option.getOrUndefined(Duration.fromInput(given))
    const isValid = duration !== undefined && !Duration.isNegative(duration) &&
      Duration.isLessThanOrEqualTo(duration, longestDuration)
    expect(isValid, [key], "a duration such as \"5 seconds\", of 24 days at most")
    return isValid ? duration : Duration.zero
  }
  /** Reads an option without types: one text in place of a list would be read as a list of its characters. */
  const textsOf = (key: "allowedHosts" | "allowedOrigins" | "operators"): ReadonlyArray<string> => {
    const given: unknown = options[key] === undefined ? [] : options[key]
    const isValid = Array.isArray(given) && given.every(Predicate.isString)
    expect(isValid, [key], "a list of texts")
    return isValid ? given : []
  }
  const allowedHosts = textsOf("allowedHosts")
  const allowedOrigins = textsOf("allowedOrigins")
  const operators = textsOf("operators")
  const {
    host = "127.0.0.1",
    limits = {},
    path = "/mcp",
    port = 0,
    publicUrl,
    tokens = {}
  } = options
  const principals = Object.keys(tokens)
  expect(Predicate.isString(host) && host !== "", ["host"], "an address")
  expect(Number.isInteger(port) && port >= 0 && port <= 65_535, ["port"], "a whole number from 0 to 65535")
  expect(isPath(path), ["path"], "a path such as \"/mcp\", other than /healthz, /readyz, /metrics and those below /ui")
  const { issuers, problems: problemsOfIssuers } = readJwtOptions(options.jwt)
  problems.push(...problemsOfIssuers)
  expect(
    principals.length > 0 || issuers.length > 0 || problemsOfIssuers.length > 0 ||
      (isLoopback(host) && options.tokens === undefined && options.jwt === undefined),
    ["tokens"],
    isLoopback(host)
      ? "a bearer token for one principal or more; leave out both `tokens` and `jwt` to serve without"
      : "a bearer token for one principal or more, unless there is an issuer (`jwt`), because others reach this address"
  )
  for (const operator of operators) {
    expect(
      principals.includes(operator) || issuers.some(({ issuer }) => operator.startsWith(`${issuer} `)),
      ["operators"],
      "a principal of `tokens`, or an issuer of `jwt`, a space and the claim"
    )
  }
  expect(
    publicUrl === undefined
      ? isLoopback(host) || issuers.length === 0
      : isServerUrl(publicUrl) && !publicUrl.includes("?"),
    ["publicUrl"],
    "the https URL at which clients reach the endpoint"
  )
  problems.push(...problemsOfTokens({ tokens, issuers: issuers.map(({ issuer }) => issuer) }))
  const sessionKeys = options.sessionKey === undefined ? [] : [options.sessionKey].flat()
  expect(
    (options.sessionKey === undefined || sessionKeys.length > 0) && sessionKeys.length <= mostKeys &&
      sessionKeys.every((key) => Redacted.isRedacted(key) && isKey(Redacted.value<unknown>(key))),
    ["sessionKey"],
    `one redacted key of ${keyBytes} bytes or more of them, ${mostKeys} at most`
  )
  problems.push(...problemsOfRouter(sessionKeys))
  for (const origin of allowedOrigins) {
    expect(URL.parse(origin)?.origin === origin, ["allowedOrigins"], "origins such as \"https://app.example.com\"")
  }
  const readLimit = (key: keyof GatewayLimits): number => {
    const [fallback, largest] = limitBounds[key]
    const value = limits[key] === undefined ? fallback : limits[key]
    expect(
      Number.isInteger(value) && value >= 1 && value <= largest,
      ["limits", key],
      `a whole number from 1 to ${largest}`
    )
    return value
  }
  const maxBodyBytes = readLimit("maxBodyBytes")
  /** Reads a limit that one body has to fit in. */
  const readBytes = (key: "maxInFlightBytes" | "maxInFlightBytesPerPrincipal"): number => {
    const value = readLimit(key)
    const isEnough = limits[key] === undefined || value >= maxBodyBytes
    expect(isEnough, ["limits", key], "as much as maxBodyBytes, or more")
    return Math.max(value, maxBodyBytes)
  }
  const read: ReadOptions = {
    host,
    port,
    path,
    tokens,
    issuers,
    publicUrl: publicUrl === undefined ? undefined : URL.parse(publicUrl)?.href,
    sessionKeys,
    allowedHosts: publicUrl === undefined || (allowedHosts.length === 0 && !isLoopback(host))
      ? allowedHosts
      : [...allowedHosts, URL.parse(publicUrl)?.hostname ?? ""],
    // The page of the gateway is of this origin.
    allowedOrigins: publicUrl === undefined ? allowedOrigins : [...allowedOrigins, URL.parse(publicUrl)?.origin ?? ""],
    operators,
    limits: {
      maxBodyBytes,
      maxSessions: readLimit("maxSessions"),
      maxSessionsPerPrincipal: readLimit("maxSessionsPerPrincipal"),
      maxInFlight: readLimit("maxInFlight"),
      maxInFlightPerPrincipal: readLimit("maxInFlightPerPrincipal"),
      maxInFlightBytes: readBytes("maxInFlightBytes"),
      maxInFlightBytesPerPrincipal: readBytes("maxInFlightBytesPerPrincipal"),
      maxWaiting: readLimit("maxWaiting"),
      maxWaitingPerPrincipal: readLimit("maxWaitingPerPrincipal"),
      requestsPerSecond: readLimit("requestsPerSecond"),
      maxTasks: readLimit("maxTasks"),
      maxTasksPerPrincipal: readLimit("maxTasksPerPrincipal")
    },
    idleTimeToLive: durationOf("idleTimeToLive", "30 minutes"),
    startTimeout: durationOf("startTimeout", "5 seconds"),
    drainTimeout: durationOf("drainTimeout", "5 seconds")
  }
  const [first, ...rest] = problems
  return first === undefined ? Effect.succeed(read) : Effect.fail(new ConfigError({ problems: [first, ...rest] }))
}
