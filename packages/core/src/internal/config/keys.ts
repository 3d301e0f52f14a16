/**
 * The keys of a server definition. Each is described once, here: its schema decodes the value, and its annotations give the
 * error messages, the doc comments of `ServerConfig` and the key tables of the README (`tools/keys.ts` writes both).
 */
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import {
  argument,
  boolean,
  duration,
  durationText,
  type Expectation,
  expectationOf,
  expecting,
  headerValue,
  isHeaderName,
  isUnsafeVariable,
  isVariableName,
  member,
  nonEmptyText,
  oneOf,
  secrets,
  url,
  wholeNumber
} from "./values.ts"

// -----------------------------------------------------------------------------
// Descriptions
// -----------------------------------------------------------------------------

interface Documentation {
  /** The effect of the key, as a sentence. */
  readonly description: string
  /** The reason for the key or its default, as a sentence. */
  readonly why: string
  /** The text of the default, where the value itself does not read well. */
  readonly defaultText?: string
}

/** The description of a key. */
export interface KeyDescription {
  readonly description: string
  readonly expectation: Expectation
  /** `undefined`: the key is required. */
  readonly default: string | undefined
  readonly why: string
}

const annotation = "@mcp-sessions/core/key"

const describedBy = (
  schema: Schema.Top,
  { defaultText, description, why }: Documentation
): { readonly description: string; readonly [annotation]: KeyDescription } => ({
  description,
  [annotation]: {
    description,
    expectation: expectationOf(schema) ?? { text: "valid", problem: "InvalidValue" },
    default: defaultText,
    why
  }
})

const required = <S extends Schema.Top>(schema: S, documentation: Documentation) =>
  schema.pipe(Schema.annotateKey(describedBy(schema, documentation)))

const optional = <S extends Schema.Top>(schema: S, documentation: Documentation) =>
  Schema.optionalKey(schema).pipe(Schema.annotateKey(describedBy(schema, documentation)))

const defaulted = <S extends Schema.Top>(
  schema: S,
  { default: value, ...documentation }: Documentation & { readonly default: S["Encoded"] }
) =>
  schema.pipe(
    Schema.withDecodingDefaultKey(Effect.succeed(value)),
    Schema.annotateKey(describedBy(schema, { defaultText: String(value), ...documentation }))
  )

const durationKey = ({ default: value, documentation, maximum, minimum }: {
  readonly minimum: Parameters<typeof duration>[0]["minimum"]
  readonly maximum: Parameters<typeof duration>[0]["maximum"]
  readonly default: Parameters<typeof durationText>[0]
  readonly documentation: Documentation
}) => defaulted(duration({ minimum, maximum }), { default: value, defaultText: durationText(value), ...documentation })

// -----------------------------------------------------------------------------
// Every server
// -----------------------------------------------------------------------------

/** The key that the decoder resolves before it knows the schema of the rest. */
const transportOf = <const Kind extends string>(kind: Kind) =>
  required(Schema.Literal(kind), {
    description: "Selects the transport.",
    defaultText:
      "`stdio` for a `command`; for a `url`, `websocket` where it starts with ws:// or wss://, else `streamable_http` with `sseFallback`",
    why: "`command` and the scheme of `url` decide it in most definitions."
  })

const client = Schema.Struct({
  name: member(nonEmptyText),
  version: member(nonEmptyText),
  title: Schema.optionalKey(nonEmptyText)
}).annotate(expecting("an object with name, version and optionally title, each a non-empty string"))

const rateLimit = Schema.Struct({
  limit: member(wholeNumber({ minimum: 1, maximum: 1_000_000 })),
  window: member(duration({ minimum: 1, maximum: "24 hours" }))
})

const common = {
  disabled: defaulted(boolean, {
    description: "Keeps the definition, and fails every use of the server with `DisabledServer`.",
    default: false,
    why: "Switches a server off without losing its definition."
  }),
  protocol: defaulted(oneOf(["auto", "legacy", "2026-07-28"]), {
    description:
      "Selects the protocol: `legacy` starts with `initialize` (revisions 2024-11-05 to 2025-11-25), `2026-07-28` is stateless, `auto` negotiates.",
    default: "auto",
    why: "Servers of both eras are in use."
  }),
  clientInfo: defaulted(client, {
    description: "Names the client to the server.",
    default: { name: "mcp-sessions", version: "0.1.0" },
    defaultText: "mcp-sessions and its version",
    why: "Servers log it."
  }),
  requestTimeout: durationKey({
    minimum: 1,
    maximum: "24 hours",
    default: "60 seconds",
    documentation: {
      description: "Limits the wait for the response to one request. Progress notifications start it anew.",
      why: "MCP clients commonly wait this long."
    }
  }),
  totalTimeout: durationKey({
    minimum: 1,
    maximum: "24 hours",
    default: "5 minutes",
    documentation: {
      description: "Limits one operation: queueing, all attempts and the backoff between them.",
      why: "The sum of all attempts needs a bound too."
    }
  }),
  probeTimeout: durationKey({
    minimum: 10,
    maximum: "1 minute",
    default: "3 seconds",
    documentation: {
      description:
        "Limits the wait for the response to the era probe when `protocol` is `auto`. A stdio or WebSocket server that stays silent gets `initialize` next.",
      why: "Older servers ignore unknown methods."
    }
  }),
  healthInterval: durationKey({
    minimum: 0,
    maximum: "24 hours",
    default: "60 seconds",
    documentation: {
      description: "Probes an idle connection at this interval (±20 %). 0 disables the probes.",
      why: "A lost connection does not always report its end."
    }
  }),
  maxLifetime: durationKey({
    minimum: 0,
    maximum: "30 days",
    default: 0,
    documentation: {
      description: "Replaces a connection at this age, less up to 2.5 % at random. 0 disables the replacement.",
      why: "Rebalances connections behind a load balancer and limits leaks, at the price of the server's session state."
    }
  }),
  maxInFlight: defaulted(wholeNumber({ minimum: 1, maximum: 100_000 }), {
    description: "Limits the requests in flight of one session. Further requests queue.",
    default: 64,
    why: "One caller with many requests must not delay the next caller."
  }),
  maxInFlightTotal: defaulted(wholeNumber({ minimum: 1, maximum: 100_000 }), {
    description: "Limits the requests in flight of all sessions of the server. Owners take turns.",
    default: 256,
    why: "One owner must not take every permit."
  }),
  maxQueued: defaulted(wholeNumber({ minimum: 0, maximum: 1_000_000 }), {
    description: "Limits the queued requests of one session. Further requests fail with `QueueFull`.",
    default: 1000,
    why: "An unbounded queue hides that a server cannot keep up."
  }),
  rateLimit: optional(
    rateLimit.annotate(expecting(
      `an object with limit (${expectationOf(rateLimit.fields.limit)?.text}) and window (${
        expectationOf(rateLimit.fields.window)?.text
      })`
    )),
    {
      description: "Limits how many requests start within a time window.",
      defaultText: "unlimited",
      why: "Stays within a published quota. Without it, `Retry-After` of a 429 response delays requests."
    }
  ),
  maxMessageBytes: defaulted(wholeNumber({ minimum: 1024, maximum: 1024 ** 3 }), {
    description: "Limits the size of one message from the server, in bytes, after decompression.",
    default: 16 * 1024 ** 2,
    defaultText: "16777216 (16 MiB)",
    why: "A server must not exhaust the memory of the client."
  }),
  trusted: defaulted(boolean, {
    description: "Lets retries rely on `readOnlyHint` and `idempotentHint` of the server's tools.",
    default: false,
    why: "A hostile server can mark any tool as safe to repeat."
  })
}

const connectTimeout = (value: Parameters<typeof durationText>[0]) =>
  durationKey({
    minimum: 1,
    maximum: "10 minutes",
    default: value,
    documentation: {
      description: "Limits one connect, from its start to the end of the handshake.",
      why: "`npx` may have to install the server first."
    }
  })

const idleTimeToLive = (value: Parameters<typeof durationText>[0]) =>
  durationKey({
    minimum: 0,
    maximum: "24 hours",
    default: value,
    documentation: {
      description: "Closes a connection that stays unused for this long.",
      why: "Starting a process costs more than opening a socket."
    }
  })

// -----------------------------------------------------------------------------
// Transports
// -----------------------------------------------------------------------------

/** The variables that a definition may not set without `allowUnsafeEnv`. */
export const unsafeVariables = ({ allowUnsafeEnv, env }: {
  readonly allowUnsafeEnv?: unknown
  readonly env?: unknown
}): ReadonlyArray<string> =>
  allowUnsafeEnv === true || !Predicate.isObject(env) ? [] : Object.keys(env).filter(isUnsafeVariable)

const Stdio = Schema.Struct({
  transport: transportOf("stdio"),
  command: required(nonEmptyText, {
    description: "Names the program to start, without a shell.",
    why: "A shell would interpret the arguments."
  }),
  args: defaulted(Schema.Array(argument).annotate(expecting("a list of strings without NUL characters")), {
    description: "Lists the arguments of the program.",
    default: [],
    defaultText: "none",
    why: "Each argument reaches the program as it is written."
  }),
  env: defaulted(
    secrets({
      value: argument,
      expected: "an object of strings by variable name",
      isName: isVariableName,
      expectedName: "a variable with a non-empty name without = and NUL"
    }),
    {
      description:
        "Sets variables of the program, in addition to `HOME`, `LOGNAME`, `PATH`, `SHELL`, `TERM` and `USER` of this process. Values are redacted.",
      default: {},
      defaultText: "none",
      why: "Other variables of this process must not leak into a server."
    }
  ),
  allowUnsafeEnv: defaulted(boolean, {
    description: "Allows `env` to set variables that change which code runs, such as `NODE_OPTIONS` and `LD_PRELOAD`.",
    default: false,
    why: "A definition should run the program that it shows."
  }),
  cwd: optional(nonEmptyText, {
    description: "Sets the working directory of the program.",
    defaultText: "that of this process",
    why: "Some servers resolve paths against it."
  }),
  encoding: defaulted(oneOf(["utf-8", "utf-16le", "latin1"]), {
    description: "Selects the encoding of the program's stdout.",
    default: "utf-8",
    why: "The specification requires UTF-8."
  }),
  encodingErrors: defaulted(oneOf(["strict", "replace", "ignore"]), {
    description:
      "Handles bytes that do not decode: `strict` ends the connection, `replace` puts U+FFFD in their place, `ignore` drops them.",
    default: "strict",
    why: "Changed text would change the meaning of a message."
  }),
  maxNoiseLines: defaulted(wholeNumber({ minimum: 0, maximum: 1_000_000 }), {
    description: "Limits the non-JSON-RPC lines in a row on the program's stdout. One more ends the connection.",
    default: 1000,
    why: "A banner on stdout is harmless, a log on stdout is a fault."
  }),
  connectTimeout: connectTimeout("30 seconds"),
  idleTimeToLive: idleTimeToLive("10 minutes"),
  ...common
}).check(
  Schema.makeFilter((config) =>
    unsafeVariables(config).map((name) => ({ path: ["env", name], issue: "unsafe variable" }))
  )
)

const urlOf = (scheme: "https?" | "wss?") =>
  required(
    url({
      scheme,
      expected: `${
        scheme === "https?" ? "an http:// or https://" : "a ws:// or wss://"
      } URL without user name and password`
    }),
    {
      description: "Locates the endpoint of the server.",
      why: "Credentials belong in `headers`, which are redacted."
    }
  )

const remote = {
  headers: defaulted(
    secrets({
      value: headerValue,
      expected: "an object of strings by header name",
      isName: isHeaderName,
      expectedName: "a header with a valid name (letters, digits and !#$%&'*+-.^_`|~)"
    }),
    {
      description: "Sends headers with every HTTP request or WebSocket handshake. Values are redacted.",
      default: {},
      defaultText: "none",
      why: "Servers take credentials from headers."
    }
  ),
  addresses: defaulted(oneOf(["any", "public"]), {
    description:
      "Restricts the addresses to dial: `public` allows only publicly routable addresses, in the URL and from DNS.",
    default: "any",
    why: "URLs from other people must not lead into your network."
  }),
  connectTimeout: connectTimeout("20 seconds"),
  idleTimeToLive: idleTimeToLive("5 minutes"),
  ...common
}

const StreamableHttp = Schema.Struct({
  transport: transportOf("streamable_http"),
  url: urlOf("https?"),
  sseFallback: defaulted(boolean, {
    description: "Falls back to SSE when a streamable_http server rejects POST.",
    default: false,
    defaultText: "false; true for the transport `http` or `remote`, and for a `url` without a transport",
    why: "Those spellings do not say which of the two HTTP transports the server speaks."
  }),
  ...remote
})

const Sse = Schema.Struct({ transport: transportOf("sse"), url: urlOf("https?"), ...remote })

const WebSocket = Schema.Struct({ transport: transportOf("websocket"), url: urlOf("wss?"), ...remote })

/** Schemas of server definitions in canonical form, by transport. */
export const schemas = { stdio: Stdio, streamable_http: StreamableHttp, sse: Sse, websocket: WebSocket }

/** The transports that a definition can name. */
export type TransportKind = keyof typeof schemas

/** All {@link TransportKind}s. */
export const transportKinds = Object.keys(schemas) as ReadonlyArray<TransportKind>

/** Schema of any server definition in canonical form. */
export const ServerConfig = Schema.Union([Stdio, StreamableHttp, Sse, WebSocket])

/** The schemas of the keys of a transport, by key. */
export const fieldsOf = (kind: TransportKind): Readonly<Record<string, Schema.ConstraintDecoder<unknown>>> =>
  schemas[kind].fields

/** The description of a key of a transport. `undefined`: the transport does not have the key. */
export const descriptionOf = ({ key, kind }: {
  readonly kind: TransportKind
  readonly key: string
}): KeyDescription | undefined => {
  const fields = fieldsOf(kind)
  const schema = Object.hasOwn(fields, key) ? fields[key] : undefined
  return schema?.ast.context?.annotations?.[annotation] as KeyDescription | undefined
}
