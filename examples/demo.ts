/**
 * The demonstration: connects to real servers over two transports and to a broken one, calls tools, and kills the process of a server.
 *
 * Each line with a check mark was verified. The exit status is 0 only if all verifications passed.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as CheckTable from "@mcp-sessions/cli/CheckTable"
import * as Failure from "@mcp-sessions/cli/Failure"
import { layer as outputLayer, Output } from "@mcp-sessions/cli/Output"
import * as ServerConfig from "@mcp-sessions/core/ServerConfig"
import type { Session } from "@mcp-sessions/core/Session"
import * as Sessions from "@mcp-sessions/core/Sessions"
import * as Transports from "@mcp-sessions/transports/Transports"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import { spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { createRequire } from "node:module"
import { connect, createServer } from "node:net"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"

/** A verification of the demonstration failed. */
class DemoFailed extends Data.TaggedError("DemoFailed")<{ readonly message: string }> {}

const repository = fileURLToPath(new URL("..", import.meta.url))

/** Returns the path of the program that a package installs, so that the demonstration does not depend on PATH. */
const programOf = (name: string): string => {
  const resolve = createRequire(import.meta.url).resolve
  const manifest = resolve(`${name}/package.json`)
  const { bin } = JSON.parse(readFileSync(manifest, "utf8"))
  return join(dirname(manifest), String(Object.values(bin)[0]))
}

const everything = programOf("@modelcontextprotocol/server-everything")
const filesystem = programOf("@modelcontextprotocol/server-filesystem")

const freePort = Effect.promise(async () => {
  const server = createServer().listen(0, "127.0.0.1")
  await once(server, "listening")
  const address = server.address()
  server.close()
  return typeof address === "object" && address !== null ? address.port : 0
})

/** Starts the HTTP server as a separate process, since sessions do not start HTTP servers. */
const httpServer = Effect.acquireRelease(
  Effect.gen(function*() {
    const port = yield* freePort
    const child = spawn(process.execPath, [everything, "streamableHttp"], {
      env: { ...process.env, PORT: String(port) },
      stdio: "ignore"
    })
    yield* Effect.callback<void, DemoFailed>((resume) => {
      const socket = connect(port, "127.0.0.1", () => {
        socket.end()
        resume(Effect.void)
      })
      socket.on("error", () => resume(new DemoFailed({ message: "the HTTP server did not start" })))
    }).pipe(Effect.retry(Schedule.max([Schedule.spaced("50 millis"), Schedule.recurs(400)])))
    return { child, url: `http://127.0.0.1:${port}/mcp` }
  }),
  ({ child }) =>
    Effect.promise(async () => {
      if (child.exitCode !== null || child.signalCode !== null) return
      child.kill("SIGTERM")
      await once(child, "exit")
    })
)

/** Lists all processes except zombies: from `/proc`, or from `ps` where that does not exist. */
const processes = (): ReadonlyArray<{ readonly pid: number; readonly parent: number; readonly group: number }> => {
  const lines = existsSync("/proc/self/stat")
    ? readdirSync("/proc").filter((name) => /^\d+$/.test(name)).flatMap((pid) => {
      try {
        return [`${pid} ${readFileSync(`/proc/${pid}/stat`, "utf8").replace(/^.*\) /s, "")}`]
      } catch {
        // The process ended after the directory was read.
        return []
      }
    })
    : spawnSync("ps", ["-A", "-o", "pid=,stat=,ppid=,pgid="], { encoding: "utf8" }).stdout.trim().split("\n")
  return lines.flatMap((line) => {
    const [pid, state = "", parent, group] = line.trim().split(/\s+/)
    return state.startsWith("Z") ? [] : [{ pid: Number(pid), parent: Number(parent), group: Number(group) }]
  })
}

/** Finds the processes that are left. Each stdio server leads a process group, so orphans of it are found too. */
const leftOf = (pids: ReadonlySet<number>): ReadonlyArray<number> =>
  processes().filter(({ group, parent, pid }) => pids.has(group) || (parent === process.pid && pids.has(pid)))
    .map(({ pid }) => pid)

const expect = (condition: boolean, message: string) =>
  condition ? Effect.void : Effect.fail(new DemoFailed({ message }))

const hasText = (part: string) => (result: Effect.Success<ReturnType<Session["callTool"]>>) =>
  result.isError !== true && result.content.some((block) => block.type === "text" && block.text.includes(part))

const calls = [
  { server: "everything", tool: "get-sum", args: { a: 19, b: 23 }, holds: hasText("42") },
  { server: "everything-http", tool: "echo", args: { message: "over HTTP" }, holds: hasText("over HTTP") },
  {
    server: "filesystem",
    tool: "read_text_file",
    args: { path: join(repository, "package.json") },
    holds: hasText("mcp-sessions")
  }
]

const tour = Effect.gen(function*() {
  const { answer, style } = yield* Output
  const { url } = yield* httpServer
  const started = new Set<number>()
  const input = {
    everything: { transport: "stdio", command: process.execPath, args: [everything, "stdio"] },
    "everything-http": { transport: "streamable_http", url },
    filesystem: { transport: "stdio", command: process.execPath, args: [filesystem, repository] },
    broken: {
      transport: "stdio",
      command: process.execPath,
      args: ["-e", "setTimeout(() => { console.error('FATAL: API_KEY is not set'); process.exit(3) }, 1500)"]
    }
  } satisfies Record<string, ServerConfig.ServerConfigInput>
  const definitions = yield* ServerConfig.decodeServers({ servers: input })
  const servers = definitions.map((definition) => ({ ...definition, source: "demo", written: {} }))
  const heading = (text: string) => answer(`\n${style("bold", text)}`)
  const done = (text: string) => answer(`${style("green", "✓")} ${text}`)

  yield* Effect.gen(function*() {
    const sessions = yield* Sessions.Sessions

    yield* heading("Connecting to four servers at once, one of them broken on purpose")
    const rows = yield* CheckTable.run({ servers, show: true })
    const stateOf = (name: string) => rows.find((row) => row.name === name)
    for (const { server } of calls) {
      const row = stateOf(server)
      yield* expect(row?.state === "healthy", `${server} is not healthy`)
      if (row?.info?.pid !== undefined) started.add(row.info.pid)
    }
    yield* expect(leftOf(started).length >= 2, "the processes of the stdio servers were not found")
    const broken = stateOf("broken")?.error
    yield* expect(
      broken?._tag === "SessionError" && broken.reason._tag === "ServerExited" && broken.reason.exitCode === 3 &&
        broken.reason.stderrTail === "FATAL: API_KEY is not set",
      "the error of the broken server lacks its exit code or stderr"
    )
    const lastGood = Math.max(...calls.map(({ server }) => stateOf(server)?.lastChecked ?? Infinity))
    yield* expect(
      lastGood < (stateOf("broken")?.lastChecked ?? 0),
      "the broken server delayed the healthy ones"
    )
    yield* done("the broken server delayed nobody")

    yield* heading("Calling a tool on each healthy server")
    for (const { args, holds, server, tool } of calls) {
      const result = yield* sessions.callTool(server, tool, args)
      yield* expect(holds(result), `${server}/${tool} returned an unexpected result`)
      const [block] = result.content
      const said = block?.type === "text" ? block.text.split("\n", 1)[0] ?? "" : ""
      yield* done(`${server}/${tool} ${style("dim", JSON.stringify(args))} → ${said.slice(0, 60)}`)
    }

    yield* heading("Killing the server process of a live session")
    const session = yield* sessions.get("everything")
    const first = yield* session.connect
    if (first.pid === undefined) return yield* new DemoFailed({ message: "the stdio server has no process id" })
    process.kill(first.pid, "SIGKILL")
    yield* done(`killed process ${first.pid}, generation ${first.generation}`)
    // A call may have run before the server was killed. This one is marked idempotent, so it is sent again.
    yield* session.callTool("echo", { message: "still there?" }, { idempotent: true })
    const second = yield* session.connect
    if (second.pid !== undefined) started.add(second.pid)
    yield* expect(second.generation > first.generation, "the call did not use a new connection")
    yield* expect(second.pid !== first.pid, "the new connection uses the killed process")
    yield* done(`the next call succeeded on process ${second.pid}, generation ${second.generation}`)
  }).pipe(
    Effect.scoped,
    Effect.provide(Sessions.layer({ servers: input }).pipe(Layer.provide(Transports.layer)))
  )

  yield* heading("Closing all sessions")
  const left = leftOf(started)
  yield* expect(left.length === 0, `processes are left: ${left.join(", ")}`)
  yield* done(`no child process is left, of the ${started.size} servers or their children`)
})

const reported = tour.pipe(
  Effect.scoped,
  Effect.tapError((error) =>
    Effect.flatMap(Output, ({ note, styleNote }) => {
      const isOurs = error._tag === "SessionError" || error._tag === "ConfigError"
      return note(styleNote("red", `✗ ${isOurs ? Failure.lines(error).join("\n") : error.message}`))
    })
  ),
  Effect.provide(outputLayer)
)

NodeRuntime.runMain(reported, { disableErrorReporting: true })
