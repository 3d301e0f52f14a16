/**
 * Servers that no one here wrote, as data: where each comes from, how it is started, and what one of its tools answers.
 * (Of those on a library there is the smallest program that uses it, in `programs`.)
 */
import type { ServerConfig } from "@mcp-sessions/core"
import { Effect, type Scope } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import { randomUUID } from "node:crypto"
import { once } from "node:events"
import { chmodSync, copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { findPackageJSON } from "node:module"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { isAlive, until } from "../fixtures/peer.ts"

/** How a server is to be met: a transport, or `http` for the one of the two over HTTP that it understands. */
export type Transport = ServerConfig.TransportKind | "http"

/** A server that is ready to be met, in one or more ways. */
export interface Running {
  readonly configs: Partial<Record<Transport, ServerConfig.ServerConfigInput>>
  /** A variable with a value, which its processes have in their environments. */
  readonly marker: string
  /** The processes that are there on its account, by id. */
  readonly processes: () => ReadonlyArray<string>
  /** How many sockets to it were ever opened, and how many are open. */
  readonly sockets: () => { readonly opened: number; readonly open: number }
  /** The HTTP sessions that it has handed out, each with the status of the answer to its `DELETE`. */
  readonly sessions: () => ReadonlyArray<readonly [id: string, status: number | undefined]>
  /** What it has written. */
  readonly said: () => string
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

/** The version that is installed, if it is: packages with a binary for one platform are installed there alone. */
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

const program = (name: string): string => fileURLToPath(new URL(`programs/${name}`, import.meta.url))

/** What proxies are put before. */
const everything = [programOf("@modelcontextprotocol/server-everything"), "stdio"]

/** The same for those who start it in a shell. */
const everythingQuoted = [process.execPath, ...everything].map((word) => `'${word}'`).join(" ")

// -----------------------------------------------------------------------------
// Starting
// -----------------------------------------------------------------------------

/** The processes that have a marker in their environment: they are known by it even when their parents have gone. */
const marked = (marker: string): ReadonlyArray<string> =>
  readdirSync("/proc").filter((name) => {
    try {
      return /^\d+$/.test(name) && readFileSync(`/proc/${name}/environ`, "latin1").includes(marker) && isAlive(name)
    } catch {
      // It ended between the two looks, or is somebody else's.
      return false
    }
  })

/** A directory to be at home in, and an environment that marks whatever inherits it. No process may outlive it. */
const place = Effect.acquireRelease(
  Effect.sync(() => {
    const directory = mkdtempSync(join(tmpdir(), "foreign-"))
    const marker = `FOREIGN=${randomUUID()}`
    const env = { HOME: directory, FOREIGN: marker.slice("FOREIGN=".length) }
    return { directory, env, marker, processes: () => marked(marker) }
  }),
  ({ directory, processes }) =>
    until(processes, (left) => left.length === 0).pipe(
      Effect.ensuring(Effect.sync(() => {
        for (const id of processes()) process.kill(Number(id), "SIGKILL")
        rmSync(directory, { recursive: true, force: true })
      }))
    )
)

/** However busy the machine is, a server that answers the probe is not to be taken for one that does not. */
const probeTimeout = "20 seconds"

type Command = readonly [command: string, ...args: ReadonlyArray<string>]

/** Started by whoever connects. */
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
      said: () => "",
      restart: Effect.die(new Error("a server on stdio is started by whoever connects"))
    }
  })
})

const configOf = (transport: Transport, address: string): ServerConfig.ServerConfigInput => {
  switch (transport) {
    case "http":
      return { transport: "streamable_http", url: `http://${address}`, sseFallback: true, probeTimeout }
    case "websocket":
      // There is one, and the probe finds it silent: its answers lose ids that are no numbers.
      return { transport, url: `ws://${address}`, probeTimeout: "300 millis" }
    case "stdio":
      throw new Error("a server on stdio does not listen")
    default:
      return { transport, url: `http://${address}`, probeTimeout }
  }
}

interface Told {
  readonly port?: number
  readonly sockets?: ReturnType<Running["sockets"]>
  readonly session?: string
  readonly status?: number
}

/** Started here, to be met at the paths given once it listens and has said what it `says`; ended with the scope. */
const listening = (options: {
  readonly at: Partial<Record<Transport, string>>
  readonly args: ReadonlyArray<string>
  readonly says?: string
}) => {
  const { args, at, says = "" } = options
  const transports = Object.keys(at) as ReadonlyArray<Transport>
  const start = Effect.gen(function*() {
    const { directory, env, marker, processes } = yield* place
    let said = ""
    let sockets = { opened: 0, open: 0 }
    const sessions = new Map<string, number | undefined>()
    let running: ChildProcess | undefined
    const stop = Effect.promise(async () => {
      running?.kill("SIGKILL")
      if (running?.exitCode === null && running.signalCode === null) await once(running, "exit")
    })
    /** Gives the port that it listens on, which is a free one unless told. */
    const launch = (listen: number) =>
      Effect.callback<number>((resume) => {
        const child = running = spawn(process.execPath, ["--import", program("listen.mjs"), ...args], {
          cwd: directory,
          env: { PATH: process.env.PATH, LISTEN: String(listen), ...env },
          stdio: ["ignore", "pipe", "pipe", "ipc"]
        })
        const begun = said.length
        let port: number | undefined
        const look = () => {
          if (port !== undefined && said.slice(begun).includes(says)) resume(Effect.succeed(port))
        }
        for (const stream of [child.stdout, child.stderr]) {
          stream?.setEncoding("utf8").on("data", (chunk: string) => {
            said += chunk
            look()
          })
        }
        child.on("message", (told: Told) => {
          port ??= told.port
          if (told.sockets !== undefined) sockets = told.sockets
          if (told.session !== undefined) sessions.set(told.session, told.status ?? sessions.get(told.session))
          look()
        })
        child.once("exit", () => resume(Effect.die(new Error(`it ended before it listened: ${said}`))))
      })
    const port = yield* Effect.acquireRelease(launch(0), () => stop, { interruptible: true })
    const address = `127.0.0.1:${port}`
    const met: Running = {
      configs: Object.fromEntries(
        Object.entries(at).map(([transport, path]) => [
          transport,
          configOf(transport as Transport, `${address}${path}`)
        ])
      ),
      marker,
      processes,
      sockets: () => sockets,
      sessions: () => [...sessions],
      said: () => said,
      restart: Effect.andThen(
        stop,
        Effect.suspend(() => {
          sockets = { opened: 0, open: 0 }
          sessions.clear()
          return Effect.asVoid(launch(port))
        })
      )
    }
    return met
  })
  return { transports, start }
}

const node = (...args: ReadonlyArray<string>) => (): Command => [process.execPath, ...args]

/** One of the examples inside the package of the SDK v1. */
const example = (name: string): string => fileOf("@modelcontextprotocol/sdk", `dist/esm/examples/server/${name}.js`)

// -----------------------------------------------------------------------------
// Servers
// -----------------------------------------------------------------------------

const sum = { tool: "get-sum", args: { a: 40, b: 2 }, answer: "The sum of 40 and 2 is 42." }
const greet = { tool: "greet", args: { name: "you" }, answer: "Hello, you!" }
const greetPlainly = { tool: "greet", args: {}, answer: "Hello from " }
const count = { tool: "start-notification-stream", args: { interval: 1, count: 2 }, answer: "notifications every 1ms" }

const sdk1 = "@modelcontextprotocol/sdk"
const sdk2 = "@modelcontextprotocol/server"
const serverEverything = "@modelcontextprotocol/server-everything"

export const everythingOverStdio: Foreign = {
  name: "server-everything",
  from: serverEverything,
  ...stdio(node(...everything)),
  ...sum
}

export const everythingOverHttp: Foreign = {
  name: "server-everything streamableHttp",
  from: serverEverything,
  ...listening({ at: { streamable_http: "/mcp" }, args: [programOf(serverEverything), "streamableHttp"] }),
  ...sum
}

export const servers: ReadonlyArray<Foreign> = [
  everythingOverStdio,
  {
    name: "server-everything sse",
    from: serverEverything,
    ...listening({ at: { sse: "/sse" }, args: [programOf(serverEverything), "sse"] }),
    ...sum
  },
  everythingOverHttp,
  {
    name: "server-filesystem",
    from: "@modelcontextprotocol/server-filesystem",
    ...stdio((directory) => {
      writeFileSync(join(directory, "note.txt"), "noted")
      return [process.execPath, programOf("@modelcontextprotocol/server-filesystem"), directory]
    }),
    tool: "read_text_file",
    args: { path: "note.txt" },
    answer: "noted"
  },
  {
    name: "example simpleStreamableHttp",
    from: sdk1,
    ...listening({ at: { streamable_http: "/mcp" }, args: [example("simpleStreamableHttp")] }),
    ...greet
  },
  {
    name: "example simpleStatelessStreamableHttp",
    from: sdk1,
    ...listening({ at: { streamable_http: "/mcp" }, args: [example("simpleStatelessStreamableHttp")] }),
    ...count
  },
  {
    name: "example jsonResponseStreamableHttp",
    from: sdk1,
    ...listening({ at: { streamable_http: "/mcp" }, args: [example("jsonResponseStreamableHttp")] }),
    ...greet
  },
  {
    name: "example honoWebStandardStreamableHttp",
    from: sdk1,
    ...listening({ at: { streamable_http: "/mcp" }, args: [example("honoWebStandardStreamableHttp")] }),
    ...greet
  },
  {
    name: "example simpleSseServer",
    from: sdk1,
    ...listening({ at: { sse: "/mcp", http: "/mcp" }, args: [example("simpleSseServer")] }),
    ...count
  },
  {
    name: "example sseAndStreamableHttpCompatibleServer",
    from: sdk1,
    ...listening({
      at: { streamable_http: "/mcp", sse: "/sse" },
      args: [example("sseAndStreamableHttpCompatibleServer")]
    }),
    ...count
  },
  {
    name: "example ssePollingExample",
    from: sdk1,
    ...listening({ at: { streamable_http: "/mcp" }, args: [example("ssePollingExample")] }),
    tool: "long-task",
    args: {},
    answer: "Long task completed successfully!"
  },
  { name: "on SDK v2, stdio", from: sdk2, ...stdio(node(program("sdk.ts"), "stdio")), ...greetPlainly },
  {
    name: "on SDK v2, http",
    from: sdk2,
    ...listening({ at: { streamable_http: "/mcp" }, args: [program("sdk.ts"), "http"] }),
    ...greetPlainly
  },
  {
    name: "mcp-proxy",
    from: "mcp-proxy",
    ...listening({
      at: { streamable_http: "/mcp", sse: "/sse" },
      args: [programOf("mcp-proxy"), "--", process.execPath, ...everything]
    }),
    ...sum
  },
  {
    name: "supergateway ws",
    from: "supergateway",
    ...listening({
      at: { websocket: "/message" },
      args: [programOf("supergateway"), "--stdio", everythingQuoted, "--outputTransport", "ws"],
      says: "Starting default (STDIO) server"
    }),
    ...sum
  },
  {
    name: "supergateway streamableHttp --stateful",
    from: "supergateway",
    ...listening({
      at: { streamable_http: "/mcp" },
      args: [
        programOf("supergateway"),
        "--stdio",
        everythingQuoted,
        "--outputTransport",
        "streamableHttp",
        "--stateful"
      ]
    }),
    ...sum
  },
  { name: "on fastmcp, stdio", from: "fastmcp", ...stdio(node(program("fastmcp.ts"), "stdio")), ...greetPlainly },
  {
    name: "on fastmcp, httpStream",
    from: "fastmcp",
    ...listening({ at: { streamable_http: "/mcp", sse: "/sse" }, args: [program("fastmcp.ts"), "httpStream"] }),
    ...greetPlainly
  },
  { name: "on tmcp", from: "tmcp", ...stdio(node(program("tmcp.ts"))), ...greetPlainly },
  {
    name: "dbhub --demo",
    from: "@bytebase/dbhub",
    ...stdio(node(programOf("@bytebase/dbhub"), "--demo", "--transport", "stdio")),
    tool: "execute_sql",
    args: { sql: "SELECT 40 + 2 AS answer" },
    answer: "\"answer\": 42"
  },
  {
    name: "dbhub --demo --transport http",
    from: "@bytebase/dbhub",
    ...listening({
      at: { streamable_http: "/mcp" },
      args: [programOf("@bytebase/dbhub"), "--demo", "--transport", "http"]
    }),
    tool: "execute_sql",
    args: { sql: "SELECT 40 + 2 AS answer" },
    answer: "\"answer\": 42"
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
      // What makes it executable is its install script, and those do not run.
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
