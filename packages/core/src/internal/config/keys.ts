/**
 * The keys of server definitions, by transport. Each is described once, here and in `commonKeys.ts`: its schema decodes the
 * value, and its annotations give the error messages, the doc comments of `ServerConfig`, the tables of `docs/configuration.md` and the JSON
 * Schema of `mcp-sessions.json` (`tools/keys.ts` writes all three).
 */
import * as Schema from "effect/Schema"
import { auth } from "./authKey.ts"
import { common, connectTimeout, idleTimeToLive } from "./commonKeys.ts"
import { defaulted, describedIn, type KeyDescription, optional, required } from "./describedKey.ts"
import { environmentKeys, unsafeVariables } from "./environmentKeys.ts"
import { cookies, networkKeys } from "./networkKeys.ts"
import {
  argument,
  boolean,
  expecting,
  headerValue,
  isHeaderName,
  nonEmptyText,
  oneOf,
  secret,
  secrets,
  url,
  wholeNumber
} from "./values.ts"

/** The key that the decoder resolves before it knows the schema of the rest. */
const transportOf = <const Kind extends string>(kind: Kind) =>
  required(Schema.Literal(kind), {
    description: "Selects the transport.",
    defaultText:
      "`stdio` for a `command`; for a `url`, `websocket` where it starts with ws:// or wss://, else `streamable_http` with `sseFallback`",
    why: "`command` and the scheme of `url` decide it in most definitions."
  })

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
  ...environmentKeys,
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
  connectTimeout: connectTimeout("30 seconds", "`npx` may have to install the server first."),
  idleTimeToLive: idleTimeToLive("10 minutes", "Starting a process costs more than opening a socket."),
  ...common
}).check(
  Schema.makeFilter((config) => unsafeVariables(config).map(({ path }) => ({ path, issue: "unsafe variable" })))
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
      member: secret(headerValue),
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
  auth,
  ...networkKeys,
  connectTimeout: connectTimeout("20 seconds", "A server that starts on demand may take several seconds."),
  idleTimeToLive: idleTimeToLive("5 minutes", "Load balancers commonly drop connections that stay idle for longer."),
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
  cookies,
  ...remote
})

const Sse = Schema.Struct({ transport: transportOf("sse"), url: urlOf("https?"), cookies, ...remote })

const WebSocket = Schema.Struct({ transport: transportOf("websocket"), url: urlOf("wss?"), ...remote })

/** Schemas of server definitions in canonical form, by transport. */
const schemas = { stdio: Stdio, streamable_http: StreamableHttp, sse: Sse, websocket: WebSocket }

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
  return schema === undefined ? undefined : describedIn(schema)
}
