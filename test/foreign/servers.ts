/**
 * Servers of other people, as data: the package of each, how it is started, and what one of its tools answers. For a library there is
 * the smallest program on it, in `programs` or `others`. The packages of `test/package.json` are there for the tests; those of
 * `test/foreign/package.json` are installed by `pnpm foreign`.
 */
import type { ServerConfig } from "@mcp-sessions/core"
import { Effect, type Scope } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import { randomUUID } from "node:crypto"
import { once } from "node:events"
import { chmodSync, copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { findPackageJSON } from "node:module"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { descendants, until } from "../fixtures/peer.ts"

/** A transport, or `http` for whichever of the two over HTTP the server speaks. */
export type Transport = ServerConfig.TransportKind | "http"

type Protocol = "auto" | "legacy"

/** A server that can be connected to, in one or more ways. */
export interface Running {
  readonly configs: Partial<Record<Transport, ServerConfig.ServerConfigInput>>
  /** A variable with its value in the environment of all its processes. */
  readonly marker: string
  /** The ids of its processes. */
  readonly processes: () => ReadonlyArray<string>
  readonly sockets: () => { readonly opened: number; readonly open: number }
  /** The HTTP sessions that it started, each with the status of the response to its `DELETE`. */
  readonly sessions: () => ReadonlyArray<readonly [id: string, status: number | undefined]>
  /** Its output. */
  readonly output: () => string
  /** Kills it, starts it again at the same address, and waits until it listens. */
  readonly restart: Effect.Effect<void>
}

export interface Foreign {
  readonly name: string
  /** The package that it is or is written on. */
  readonly from: string
  readonly transports: ReadonlyArray<Transport>
  readonly start: Effect.Effect<Running, never, Scope.Scope>
  readonly tool: string
  readonly args: Record<string, unknown>
  /** A part of what the tool answers. */
  readonly answer: string
  /** The protocols in which it is restarted under a session. */
  readonly restarted?: ReadonlyArray<Protocol>
}

// -----------------------------------------------------------------------------
// Packages
// -----------------------------------------------------------------------------

const manifestOf = (name: string): string | undefined => {
  try {
    return findPackageJSON(name, import.meta.url)
  } catch {
    return undefined
  }
}

/** The version that is installed: a package with a binary for one platform is installed there alone. */
export const versionOf = (name: string): string | undefined => {
  const manifest = manifestOf(name)
  return manifest === undefined ? undefined : JSON.parse(readFileSync(manifest, "utf8")).version.replace(/^v/, "")
}

const fileOf = (name: string, path: string): string => join(dirname(manifestOf(name) ?? ""), path)

/** The program that a package installs as a command. */
const programOf = (name: string): string => {
  const { bin } = JSON.parse(readFileSync(fileOf(name, "package.json"), "utf8"))
  return fileOf(name, typeof bin === "string" ? bin : String(Object.values(bin)[0]))
}

const local = (path: string): string => fileURLToPath(new URL(path, import.meta.url))

// -----------------------------------------------------------------------------
// Starting
// -----------------------------------------------------------------------------

/** A home directory, and an environment that marks every process which inherits it. No process may outlive it. */
const place = Effect.acquireRelease(
  Effect.sync(() => {
    const directory = mkdtempSync(join(tmpdir(), "foreign-"))
    const id = randomUUID()
    const marker = `FOREIGN=${id}`
    return { directory, env: { HOME: directory, FOREIGN: id }, marker, processes: () => descendants(marker) }
  }),
  ({ directory, processes }) =>
    until(processes, (left) => left.length === 0).pipe(
      Effect.ensuring(Effect.sync(() => {
        for (const id of processes()) process.kill(Number(id), "SIGKILL")
        rmSync(directory, { recursive: true, force: true })
      }))
    )
)

/** Long enough for a server that responds to the probe on a busy machine. */
const probeTimeout = "20 seconds"

type Command = readonly [command: string, ...args: ReadonlyArray<string>]

/** A server that the library starts. */
const stdio = (command: (directory: string) => Command) => ({
  transports: ["stdio"] as const,
  start: Effect.map(place, ({ directory, env, marker, processes }): Running => {
    const [program, ...args] = command(directory)
    return {
      configs: { stdio: { transport: "stdio", command: program, args, env, cwd: directory, probeTimeout } },
      marker,
      processes,
      sockets: () => ({ opened: 0, open: 0 }),
      sessions: () => [],
      output: () => "",
      restart: Effect.die(new Error("the library starts a server on stdio"))
    }
  })
})

const node = (...args: ReadonlyArray<string>): Command => [process.execPath, ...args]

const configOf = (transport: Transport, address: string): ServerConfig.ServerConfigInput => {
  switch (transport) {
    case "http":
      return { transport: "streamable_http", url: `http://${address}`, sseFallback: true, probeTimeout }
    case "websocket":
      // The one such server does not respond to the probe: it drops responses whose ids are not numbers.
      return { transport, url: `ws://${address}`, probeTimeout: "300 millis" }
    case "stdio":
      throw new Error("a server on stdio does not listen")
    default:
      return { transport, url: `http://${address}`, probeTimeout }
  }
}

/** A message of `programs/listen.mjs`. */
interface Report {
  readonly port?: number
  readonly sockets?: ReturnType<Running["sockets"]>
  readonly session?: string
  readonly status?: number
}

/** A server that is started here with Node, and has a path for each transport. It is ready when it listens and has printed `prints`. */
const listening = (
  at: Partial<Record<Transport, string>>,
  args: () => ReadonlyArray<string>,
  prints = ""
) => {
  const start = Effect.gen(function*() {
    const { directory, env, marker, processes } = yield* place
    let output = ""
    let sockets = { opened: 0, open: 0 }
    const sessions = new Map<string, number | undefined>()
    let child: ChildProcess | undefined
    const stop = Effect.promise(async () => {
      child?.kill("SIGKILL")
      if (child?.exitCode === null && child.signalCode === null) await once(child, "exit")
    })
    const launch = (listen: number) =>
      Effect.callback<number>((resume) => {
        const started = child = spawn(process.execPath, ["--import", local("programs/listen.mjs"), ...args()], {
          cwd: directory,
          env: { PATH: process.env.PATH, LISTEN: String(listen), ...env },
          stdio: ["ignore", "pipe", "pipe", "ipc"]
        })
        const begun = output.length
        let port: number | undefined
        const look = () => {
          if (port !== undefined && output.slice(begun).includes(prints)) resume(Effect.succeed(port))
        }
        for (const stream of [started.stdout, started.stderr]) {
          stream?.setEncoding("utf8").on("data", (chunk: string) => {
            output += chunk
            look()
          })
        }
        started.on("message", (report: Report) => {
          port ??= report.port
          if (report.sockets !== undefined) sockets = report.sockets
          if (report.session !== undefined) {
            sessions.set(report.session, report.status ?? sessions.get(report.session))
          }
          look()
        })
        started.once("exit", () => resume(Effect.die(new Error(`it ended before it listened: ${output}`))))
      })
    const port = yield* Effect.acquireRelease(launch(0), () => stop, { interruptible: true })
    const configs = Object.entries(at).map(([transport, path]) =>
      [transport, configOf(transport as Transport, `127.0.0.1:${port}${path}`)] as const
    )
    const running: Running = {
      configs: Object.fromEntries(configs),
      marker,
      processes,
      sockets: () => sockets,
      sessions: () => [...sessions],
      output: () => output,
      restart: Effect.andThen(
        stop,
        Effect.suspend(() => {
          sockets = { opened: 0, open: 0 }
          sessions.clear()
          return Effect.asVoid(launch(port))
        })
      )
    }
    return running
  })
  return { transports: Object.keys(at) as ReadonlyArray<Transport>, start }
}

// -----------------------------------------------------------------------------
// Servers
// -----------------------------------------------------------------------------

const sum = { tool: "get-sum", args: { a: 40, b: 2 }, answer: "The sum of 40 and 2 is 42." }
const greet = { tool: "greet", args: { name: "you" }, answer: "Hello, you!" }
const greetPlainly = { tool: "greet", args: {}, answer: "Hello from " }
const count = { tool: "start-notification-stream", args: { interval: 1, count: 2 }, answer: "notifications every 1ms" }
const sql = { tool: "execute_sql", args: { sql: "SELECT 40 + 2 AS answer" }, answer: "\"answer\": 42" }
const longTask = { tool: "long-task", args: {}, answer: "Long task completed successfully!" }

const serverEverything = "@modelcontextprotocol/server-everything"
const everything = (kind: string): ReadonlyArray<string> => [programOf(serverEverything), kind]
/** For programs that start it in a shell. */
const everythingQuoted = () => [process.execPath, ...everything("stdio")].map((word) => `'${word}'`).join(" ")

/** One of the examples inside the package of the SDK v1. */
const example = (
  name: string,
  at: Partial<Record<Transport, string>>,
  use: Pick<Foreign, "tool" | "args" | "answer" | "restarted">
): Foreign => ({
  name: `example ${name}`,
  from: "@modelcontextprotocol/sdk",
  ...listening(at, () => [fileOf("@modelcontextprotocol/sdk", `dist/esm/examples/server/${name}.js`)]),
  ...use
})

const post = { streamable_http: "/mcp" }
const restarted = ["auto"] as const

export const everythingOverStdio: Foreign = {
  name: "server-everything",
  from: serverEverything,
  ...stdio(() => node(...everything("stdio"))),
  ...sum
}

export const everythingOverHttp: Foreign = {
  name: "server-everything streamableHttp",
  from: serverEverything,
  ...listening(post, () => everything("streamableHttp")),
  ...sum,
  restarted
}

export const everythingOverSse: Foreign = {
  name: "server-everything sse",
  from: serverEverything,
  ...listening({ sse: "/sse" }, () => everything("sse")),
  ...sum,
  restarted
}

export const servers: ReadonlyArray<Foreign> = [
  everythingOverStdio,
  everythingOverSse,
  everythingOverHttp,
  {
    name: "server-filesystem",
    from: "@modelcontextprotocol/server-filesystem",
    ...stdio((directory) => {
      writeFileSync(join(directory, "note.txt"), "noted")
      return node(programOf("@modelcontextprotocol/server-filesystem"), directory)
    }),
    tool: "read_text_file",
    args: { path: "note.txt" },
    answer: "noted"
  },
  example("simpleStreamableHttp", post, { ...greet, restarted }),
  example("simpleStatelessStreamableHttp", post, count),
  example("jsonResponseStreamableHttp", post, { ...greet, restarted }),
  example("honoWebStandardStreamableHttp", post, greet),
  example("simpleSseServer", { sse: "/mcp", http: "/mcp" }, count),
  example("sseAndStreamableHttpCompatibleServer", { ...post, sse: "/sse" }, count),
  example("ssePollingExample", post, { ...longTask, restarted }),
  {
    name: "on SDK v2, stdio",
    from: "@modelcontextprotocol/server",
    ...stdio(() => node(local("programs/sdk.ts"), "stdio")),
    ...greetPlainly
  },
  {
    name: "on SDK v2, http",
    from: "@modelcontextprotocol/server",
    ...listening(post, () => [local("programs/sdk.ts"), "http"]),
    ...greetPlainly
  },
  {
    name: "mcp-proxy",
    from: "mcp-proxy",
    ...listening({ ...post, sse: "/sse" }, () => [
      programOf("mcp-proxy"),
      "--",
      process.execPath,
      ...everything("stdio")
    ]),
    ...sum,
    restarted: ["auto", "legacy"]
  },
  {
    name: "supergateway ws",
    from: "supergateway",
    ...listening(
      { websocket: "/message" },
      () => [programOf("supergateway"), "--stdio", everythingQuoted(), "--outputTransport", "ws"],
      "Starting default (STDIO) server"
    ),
    ...sum
  },
  {
    name: "supergateway streamableHttp --stateful",
    from: "supergateway",
    ...listening(post, () => [
      programOf("supergateway"),
      "--stdio",
      everythingQuoted(),
      "--outputTransport",
      "streamableHttp",
      "--stateful"
    ]),
    ...sum
  },
  { name: "on fastmcp, stdio", from: "fastmcp", ...stdio(() => node(local("others/fastmcp.ts"))), ...greetPlainly },
  {
    name: "on fastmcp, httpStream",
    from: "fastmcp",
    ...listening({ ...post, sse: "/sse" }, () => [local("others/fastmcp.ts"), "httpStream"]),
    ...greetPlainly,
    restarted
  },
  { name: "on tmcp", from: "tmcp", ...stdio(() => node(local("programs/tmcp.ts"))), ...greetPlainly },
  {
    name: "dbhub --demo",
    from: "@bytebase/dbhub",
    ...stdio(() => node(programOf("@bytebase/dbhub"), "--demo", "--transport", "stdio")),
    ...sql
  },
  {
    name: "dbhub --demo --transport http",
    from: "@bytebase/dbhub",
    ...listening(post, () => [programOf("@bytebase/dbhub"), "--demo", "--transport", "http"]),
    ...sql
  },
  {
    name: "mcp-time",
    from: "mcp-time-linux-x64",
    ...stdio(() => [fileOf("mcp-time-linux-x64", "bin/mcp-time")]),
    tool: "add_time",
    args: { time: "2026-01-01T00:00:00Z", duration: "90m" },
    answer: "2026-01-01T01:30:00Z"
  },
  {
    name: "leanspec",
    from: "@leanspec/mcp-linux-x64",
    ...stdio((directory) => {
      // Its install script, which does not run, would make it executable.
      const binary = join(directory, "leanspec-mcp")
      copyFileSync(fileOf("@leanspec/mcp-linux-x64", "leanspec-mcp"), binary)
      chmodSync(binary, 0o755)
      return [binary]
    }),
    tool: "get_schema",
    args: {},
    answer: "\"name\":\"Markdown\""
  },
  {
    name: "cortex-mcp",
    from: "@temporal-cortex/cortex-mcp-linux-x64",
    ...stdio(() => [fileOf("@temporal-cortex/cortex-mcp-linux-x64", "bin/cortex-mcp")]),
    tool: "compute_duration",
    args: { start: "2026-01-01T00:00:00Z", end: "2026-01-01T01:30:00Z" },
    answer: "\"total_seconds\": 5400"
  }
]

const { dependencies, optionalDependencies } = JSON.parse(readFileSync(local("../package.json"), "utf8"))

/** The servers that the tests start: those whose packages come with the repository, and are made for this platform. */
export const tested: ReadonlyArray<Foreign> = servers.filter(({ from }) =>
  from in dependencies || (from in optionalDependencies && versionOf(from) !== undefined)
)
