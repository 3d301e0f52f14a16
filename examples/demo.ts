/**
 * A demo on real MCP servers: three that work, over stdio and HTTP, one that is broken, and one whose process is killed.
 *
 * Each line with ✓ is printed after it was checked. The exit status is 0 only if all checks hold.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as CheckTable from "@mcp-sessions/cli/CheckTable"
import { fromDefinition } from "@mcp-sessions/cli/Configured"
import * as FailureText from "@mcp-sessions/cli/FailureText"
import { layer as invocationLayer } from "@mcp-sessions/cli/Invocation"
import { layer as outputLayer, Output } from "@mcp-sessions/cli/Output"
import { line } from "@mcp-sessions/cli/Shown"
import { text } from "@mcp-sessions/core/Mcp"
import * as ServerConfig from "@mcp-sessions/core/ServerConfig"
import * as Sessions from "@mcp-sessions/core/Sessions"
import * as Transports from "@mcp-sessions/transports/Transports"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { readFileSync } from "node:fs"
import { createRequire } from "node:module"
import { createServer } from "node:net"
import { dirname, join } from "node:path"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"

/** A check of the demo did not hold. */
class DemoFailed extends Data.TaggedError("DemoFailed")<{ readonly message: string }> {}

const check = (condition: boolean, message: string) => condition ? Effect.void : new DemoFailed({ message })

const repository = fileURLToPath(new URL("..", import.meta.url))

/** Returns the program that a package installs. */
const programOf = (name: string): string => {
  const manifest = createRequire(import.meta.url).resolve(`${name}/package.json`)
  const { bin } = JSON.parse(readFileSync(manifest, "utf8"))
  return join(dirname(manifest), String(Object.values(bin)[0]))
}

const everything = programOf("@modelcontextprotocol/server-everything")
const filesystem = programOf("@modelcontextprotocol/server-filesystem")

const freePort = async (): Promise<number> => {
  const server = createServer().listen(0, "127.0.0.1")
  await once(server, "listening")
  const address = server.address()
  server.close()
  return typeof address === "object" && address !== null ? address.port : 0
}

/** Starts an HTTP server outside of the library, as HTTP servers run in real life. Resolves with its URL. */
const httpServer = Effect.acquireRelease(
  Effect.promise(async () => {
    const port = await freePort()
    const env = { ...process.env, PORT: String(port) }
    const child = spawn(process.execPath, [everything, "streamableHttp"], { env, stdio: ["ignore", "ignore", "pipe"] })
    for await (const line of createInterface(child.stderr)) if (line.includes("listening")) break
    child.stderr.resume()
    return { child, url: `http://127.0.0.1:${port}/mcp` }
  }),
  ({ child }) =>
    Effect.promise(async () => {
      if (child.exitCode !== null || child.signalCode !== null) return
      child.kill("SIGTERM")
      await once(child, "exit")
    })
)

/** Whether a process runs in the group of a stdio server. Each of them leads its own group, so this finds its children too. */
const isRunning = (pid: number): boolean => {
  try {
    return process.kill(-pid, 0)
  } catch {
    return false
  }
}

const calls = [
  { server: "everything", tool: "get-sum", args: { a: 19, b: 23 }, expected: "42" },
  { server: "everything-http", tool: "echo", args: { message: "over HTTP" }, expected: "over HTTP" },
  { server: "filesystem", tool: "read_text_file", args: { path: "package.json" }, expected: "mcp-sessions" }
]

const demo = Effect.gen(function*() {
  const { print, style } = yield* Output
  const { url } = yield* httpServer
  const input = {
    everything: { transport: "stdio", command: process.execPath, args: [everything, "stdio"] },
    "everything-http": { transport: "streamable_http", url },
    filesystem: { transport: "stdio", command: process.execPath, args: [filesystem, repository], cwd: repository },
    broken: {
      transport: "stdio",
      command: process.execPath,
      args: ["-e", "setTimeout(() => { console.error('FATAL: API_KEY is not set'); process.exit(3) }, 1500)"]
    }
  } satisfies Record<string, ServerConfig.ServerConfigInput>
  const definitions = yield* ServerConfig.decodeServers({ servers: input })
  const heading = (words: string) => print(line`\n${style("bold", words)}`)
  const proven = (words: string) => print(line`${style("green", "✓")} ${words}`)
  const pids = new Set<number>()

  yield* print(
    line`This demo uses real MCP servers. Each line with ✓ was checked; the demo fails if one does not hold.`
  )
  yield* Effect.gen(function*() {
    const sessions = yield* Sessions.Sessions

    yield* heading("1. Connect to four servers concurrently. One of them is broken on purpose.")
    const servers = definitions.map((definition) => fromDefinition({ ...definition, source: "demo" }))
    const rows = yield* CheckTable.run({ servers, show: true })
    yield* CheckTable.print(rows)
    const broken = rows.find(({ name }) => name === "broken")
    const working = rows.filter(({ name }) => name !== "broken")
    for (const { info, isHealthy, name } of working) {
      yield* check(isHealthy, `the server "${name}" is not healthy`)
      if (info?.pid !== undefined) pids.add(info.pid)
    }
    yield* check(pids.size === 2 && [...pids].every(isRunning), "the processes of the stdio servers do not run")
    yield* check(
      broken?.error?._tag === "SessionError" && broken.error.reason._tag === "ServerExited" &&
        broken.error.reason.exitCode === 3 && broken.error.reason.stderrTail === "FATAL: API_KEY is not set",
      "the error of the broken server does not contain its exit code and its stderr"
    )
    const lastConnected = Math.max(...working.map(({ lastChecked }) => lastChecked ?? Infinity))
    yield* check(lastConnected < (broken?.lastChecked ?? 0), "a working server waited for the broken one")
    yield* proven("the broken server reports its exit code and stderr, and did not delay the others")

    yield* heading("2. Call a tool on each working server.")
    for (const { args, expected, server, tool } of calls) {
      const result = yield* sessions.callTool(server, tool, args)
      yield* check(
        result.isError !== true && text(result).includes(expected),
        `${server}/${tool} returned no ${expected}`
      )
      const [start = ""] = text(result).replaceAll(/\s+/g, " ").match(/^.{0,60}/) ?? []
      yield* print(
        line`${style("green", "✓")} ${server}/${tool} ${style("dim", JSON.stringify(args))} → ${start}`
      )
    }

    yield* heading("3. Kill the process of a server while its session is open.")
    const session = yield* sessions.get("everything")
    const before = yield* session.connect
    if (before.pid === undefined) return yield* new DemoFailed({ message: "the stdio server has no process" })
    process.kill(before.pid, "SIGKILL")
    yield* proven(`killed process ${before.pid} (connection ${before.generation} of the session)`)
    // The killed server may have received this call, so it is only resent because it is declared idempotent.
    yield* session.callTool("echo", { message: "still there?" }, { idempotent: true })
    const after = yield* session.connect
    if (after.pid !== undefined) pids.add(after.pid)
    yield* check(after.generation === before.generation + 1, "the call did not use a new connection")
    yield* check(after.pid !== before.pid, "the new connection does not have its own process")
    yield* proven(
      `the session reconnected: process ${after.pid} (connection ${after.generation}) answered the next call`
    )
  }).pipe(
    Effect.scoped,
    Effect.provide(Sessions.layer({ servers: input }).pipe(Layer.provide(Transports.layer)))
  )

  yield* heading("4. Close all sessions.")
  const left = [...pids].filter(isRunning)
  yield* check(left.length === 0, `processes still run: ${left.join(", ")}`)
  yield* proven(
    `all ${pids.size} processes of the stdio servers have ended, the killed one and its successor too, and their children`
  )
})

const reported = demo.pipe(
  Effect.scoped,
  Effect.tapError((error) =>
    Effect.flatMap(Output, ({ note, styleNote }) => {
      const isOurs = error._tag === "SessionError" || error._tag === "ConfigError"
      return note(styleNote("red", `✗ ${isOurs ? FailureText.lines(error).join("\n") : error.message}`))
    })
  ),
  Effect.provide(Layer.provideMerge(outputLayer, invocationLayer))
)

NodeRuntime.runMain(reported, { disableErrorReporting: true })
