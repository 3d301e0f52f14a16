/**
 * The flags of `serve` for several processes that act as one gateway.
 */
import { isLoopback } from "@mcp-sessions/transports/NodeHost"
import type { NodeTls } from "@mcp-sessions/transports/SessionRouter"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Base64Url from "effect/encoding/Base64Url"
import * as Hex from "effect/encoding/Hex"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import { UsageError } from "../Failure.ts"
import { advertisedUrlOf, type ClusterNode } from "../internal/clusterNode.ts"
import { Invocation } from "../Invocation.ts"
import { Output } from "../Output.ts"
import { line } from "../Shown.ts"
import { readFlagFile } from "./flagFile.ts"
import { toFlagError } from "./optionFlags.ts"
import { wholeNumberFlag } from "./root.ts"
import { decodeSecretUrl, readSecretUrl } from "./secretUrl.ts"

/** The variable with the URL of the database, which no process list shows. */
const databaseVariable = "MCP_SESSIONS_DATABASE_URL"

const [defaultHost, defaultPort, defaultRunnerPort] = ["127.0.0.1", 7400, 7401] as const

const text = (...[name, metavar, description]: readonly [string, string, string]) =>
  Flag.String(name).pipe(Flag.withMetavar(metavar), Flag.withDescription(description), Flag.optional)

const switchedOn = (name: string, description: string) =>
  Flag.Boolean(name).pipe(Flag.withDescription(description), Flag.withDefault(false))

const portOf = (name: string, description: string) =>
  wholeNumberFlag({ name, minimum: 1, maximum: 65_535 }).pipe(
    Flag.withMetavar("port"),
    Flag.withDescription(description),
    Flag.optional
  )

export const fleetFlags = {
  sessionKey: text(
    "session-key",
    "file",
    "File with the key for ids of sessions and tasks: 32 bytes in base64 or hex, required by --sealed and --cluster; optional otherwise: keeps the ids of tasks valid after a restart; further lines are older keys that are still accepted"
  ),
  sealed: switchedOn(
    "sealed",
    "Let any process with the same key handle any request; for servers that keep their state elsewhere"
  ),
  cluster: switchedOn(
    "cluster",
    `Run as a node of a cluster: one node owns each session, and every node accepts requests; PostgreSQL is at ${databaseVariable}`
  ),
  database: text("database", "file", `File with the URL of PostgreSQL, instead of ${databaseVariable}`),
  nodeHost: text("node-host", "address", `Address to listen on for other nodes (default: ${defaultHost})`),
  nodePort: portOf("node-port", `Port for requests from other nodes (default: ${defaultPort})`),
  runnerPort: portOf("runner-port", `Port for the runners of the cluster (default: ${defaultRunnerPort})`),
  advertise: text("advertise", "host", "Host at which other nodes reach this node (default: --node-host)"),
  nodeTls: text(
    "node-tls",
    "ca,cert,key",
    "PEM files of a certificate authority, and of a certificate with its key; nodes then require certificates of that authority"
  ),
  insecureNetwork: switchedOn(
    "insecure-network",
    "Allow any --node-host without --node-tls; only for networks that protect the ports of nodes"
  )
}

type Given<F> = { readonly [K in keyof F]: F[K] extends Flag.Flag<infer A> ? A : never }

/** The values of the fleet flags. */
type Fleet = Given<typeof fleetFlags>

const keyBytes = 32

/** The command that makes a file with a key. */
const makeKey = "openssl rand -base64 32 > session.key"

const decodeKey = (line: string): Uint8Array | undefined => {
  const decoded = /^[\da-f]{64}$/i.test(line)
    ? Hex.decode(line)
    : Base64Url.decode(line.replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, ""))
  return Result.isSuccess(decoded) && decoded.success.byteLength === keyBytes ? decoded.success : undefined
}

/** Reads one key from each line. Errors never quote the file. */
const readKeys = Effect.fnUntraced(function*(path: string) {
  const lines = (yield* readFlagFile({ flag: "session-key", path })).split(/\s+/).filter((line) => line !== "")
  const keys = lines.map(decodeKey).filter((key) => key !== undefined)
  if (keys.length > 0 && keys.length === lines.length) return keys.map((key) => Redacted.make(key))
  return yield* new UsageError({
    problems: ["--session-key: expected lines with 32 bytes each, in base64 or hex"],
    hint: makeKey
  })
})

const readDatabase = Effect.fnUntraced(function*(file: string | undefined) {
  const { environment } = yield* Invocation
  const expected = {
    isExpected: ({ protocol }: URL) => /^postgres(?:ql)?:$/.test(protocol),
    example: "postgres://user:password@host:5432/database"
  }
  if (file === undefined && (environment[databaseVariable] ?? "") === "") {
    return yield* new UsageError({
      problems: [`--cluster needs the URL of PostgreSQL; ${databaseVariable} is not set`],
      hint: `set ${databaseVariable}, or pass a file with the URL: --database <file>`
    })
  }
  return file === undefined
    ? yield* decodeSecretUrl({ ...expected, text: environment[databaseVariable], where: databaseVariable })
    : yield* readSecretUrl({ ...expected, flag: "database", path: file })
})

/** Describes a database by host and name, without user and password. */
const databaseName = (url: Redacted.Redacted): string => {
  const { host = "", pathname = "" } = URL.parse(Redacted.value(url)) ?? {}
  return `the database ${JSON.stringify(pathname.slice(1))} at ${host === "" ? "its default address" : host}`
}

/** The meanings of error codes of PostgreSQL and the system. */
const meanings: Readonly<Record<string, string>> = {
  "28000": "it refuses this user",
  "28P01": "the user or the password is wrong",
  "3D000": "it does not exist",
  "42501": "the user may not create tables",
  ECONNREFUSED: "nothing listens on this port",
  ENOTFOUND: "the host does not exist"
}

/** Describes a database failure by its error code. */
const problemOf = ({ cause, message }: { readonly cause: unknown; readonly message: string }): string => {
  const code = Predicate.hasProperty(cause, "code") ? String(cause.code) : ""
  const meaning = Object.hasOwn(meanings, code) ? meanings[code] ?? message : message
  return /^\w{1,40}$/.test(code) ? `${meaning} (${code})` : meaning
}

const readTls = Effect.fnUntraced(function*(paths: string) {
  const [ca = "", cert = "", key = "", ...others] = paths.split(",")
  if (ca === "" || cert === "" || key === "" || others.length > 0) {
    return yield* new UsageError({ problems: ["--node-tls: expected three files: ca.pem,cert.pem,key.pem"] })
  }
  const read = (path: string) => readFlagFile({ flag: "node-tls", path })
  const tls: NodeTls = { ca: yield* read(ca), cert: yield* read(cert), key: Redacted.make(yield* read(key)) }
  return tls
})

/** Returns the problems of flags that have no effect, or that contradict each other. */
const problemsOf = (fleet: Fleet, isStdio: boolean): ReadonlyArray<string> => {
  const { advertise, cluster, database, insecureNetwork, nodeHost, nodePort, nodeTls, runnerPort, sealed, sessionKey } =
    fleet
  const ofCluster = {
    "--database": database,
    "--node-host": nodeHost,
    "--node-port": nodePort,
    "--runner-port": runnerPort,
    "--advertise": advertise,
    "--node-tls": nodeTls
  }
  const given = [
    ...Object.entries(ofCluster).flatMap(([flag, { _tag }]) => _tag === "Some" ? [flag] : []),
    ...(insecureNetwork ? ["--insecure-network"] : [])
  ]
  const sharing = [...(sealed ? ["--sealed"] : []), ...(cluster ? ["--cluster"] : [])]
  const isAnywhere = Option.exists(nodeHost, (host) => ["0.0.0.0", "::"].includes(host))
  const ports = [nodePort, runnerPort].map((port, index) =>
    Option.getOrElse(port, () => index === 0 ? defaultPort : defaultRunnerPort)
  )
  return [
    ...(cluster ? [] : given.map((flag) => `${flag} needs --cluster`)),
    ...(Option.isNone(sessionKey) ? sharing.map((flag) => `${flag} needs --session-key`) : []),
    ...(sharing.length > 1 ? ["use either --sealed or --cluster"] : []),
    ...(isStdio && (sharing.length > 0 || Option.isSome(sessionKey))
      ? ["--stdio serves one client, so --session-key, --sealed and --cluster cannot be used with it"]
      : []),
    ...(cluster && isAnywhere && Option.isNone(advertise)
      ? ["--advertise is required, because other nodes cannot reach the address of --node-host"]
      : []),
    ...(cluster && ports[0] === ports[1] ? ["--node-port and --runner-port must differ"] : [])
  ]
}

/** Refuses a node that could not start, before anything is opened. */
const checkNode = Effect.fnUntraced(function*(node: ClusterNode) {
  const { checkCluster } = yield* Effect.promise(() => import("@mcp-sessions/transports/SessionRouter"))
  const { host, insecureNetwork, port, tls } = node
  yield* checkCluster({ host, port, advertisedUrl: advertisedUrlOf(node), tls, insecureNetwork }).pipe(
    Effect.mapError((error) => toFlagError(error, "--insecure-network allows any address without --node-tls"))
  )
})

const nodeOf = Effect.fnUntraced(function*(fleet: Fleet) {
  const { note, styleNote } = yield* Output
  const host = Option.getOrElse(fleet.nodeHost, () => defaultHost)
  const node: ClusterNode = {
    database: yield* readDatabase(Option.getOrUndefined(fleet.database)),
    host,
    port: Option.getOrElse(fleet.nodePort, () => defaultPort),
    runnerPort: Option.getOrElse(fleet.runnerPort, () => defaultRunnerPort),
    advertisedHost: Option.getOrElse(fleet.advertise, () => host),
    tls: Option.isSome(fleet.nodeTls) ? yield* readTls(fleet.nodeTls.value) : undefined,
    insecureNetwork: fleet.insecureNetwork
  }
  yield* checkNode(node)
  if (node.tls === undefined && !isLoopback(host)) {
    const warning =
      line`warning: without --node-tls, programs on the network of ${host} can read requests between nodes and disturb the cluster`
    yield* note(styleNote("yellow", warning))
  }
  return node
})

/** Reads the keys of session ids, and makes the router. Other commands start faster without the modules of a cluster. */
export const readFleet = Effect.fnUntraced(function*(fleet: Fleet, isStdio: boolean) {
  const [first, ...rest] = problemsOf(fleet, isStdio)
  if (first !== undefined) {
    const needsKey = (fleet.sealed || fleet.cluster) && Option.isNone(fleet.sessionKey)
    return yield* new UsageError({ problems: [first, ...rest], ...(needsKey ? { hint: makeKey } : {}) })
  }
  const sessionKey = Option.isSome(fleet.sessionKey) ? yield* readKeys(fleet.sessionKey.value) : undefined
  if (fleet.sealed) {
    const { layerSealed } = yield* Effect.promise(() => import("@mcp-sessions/transports/SessionRouter"))
    return { sessionKey, router: layerSealed }
  }
  if (!fleet.cluster) return { sessionKey, router: Layer.empty }
  const node = yield* nodeOf(fleet)
  const { layer } = yield* Effect.promise(() => import("../internal/cluster.ts"))
  const router = layer(node).pipe(
    Layer.catchTag("SqlError", ({ reason }) =>
      Layer.effectDiscard(
        Effect.fail(
          new UsageError({
            problems: [`${databaseName(node.database)} cannot be used: ${problemOf(reason)}`],
            hint: `start PostgreSQL, or correct the URL in ${
              Option.isSome(fleet.database) ? "the file of --database" : databaseVariable
            }`
          })
        )
      )),
    Layer.catchTag("SocketServerError", () =>
      Layer.effectDiscard(
        Effect.fail(new UsageError({ problems: [`--runner-port: cannot listen on ${node.host}:${node.runnerPort}`] }))
      ))
  )
  return { sessionKey, router }
})
