/**
 * Real servers that no one here wrote: started, used and left, in `legacy` and in `auto`.
 */
import { assert, describe, it } from "@effect/vitest"
import { type Mcp, type ServerConfig, Sessions } from "@mcp-sessions/core"
import { Transports } from "@mcp-sessions/transports"
import { Effect, Layer, type Scope } from "effect"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { createRequire } from "node:module"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { isAlive, until } from "./fixtures/peer.ts"

const programOf = (name: string): string => {
  const manifest = createRequire(import.meta.url).resolve(`${name}/package.json`)
  return join(dirname(manifest), String(Object.values(JSON.parse(readFileSync(manifest, "utf8")).bin)[0]))
}

const everything = programOf("@modelcontextprotocol/server-everything")
const filesystem = programOf("@modelcontextprotocol/server-filesystem")

interface Foreign {
  readonly name: string
  readonly start: Effect.Effect<ServerConfig.ServerConfigInput, never, Scope.Scope>
  readonly tool: string
  readonly args: (directory: string) => Record<string, unknown>
  readonly answer: string
}

const directory = Effect.acquireRelease(
  Effect.sync(() => {
    const directory = mkdtempSync(join(tmpdir(), "foreign-"))
    writeFileSync(join(directory, "note.txt"), "noted")
    return directory
  }),
  (directory) => Effect.sync(() => rmSync(directory, { recursive: true }))
)

const freePort = Effect.promise(async () => {
  const server = createServer().listen(0, "127.0.0.1")
  await once(server, "listening")
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  return typeof address === "object" ? address?.port : undefined
})

/** Starts it and listens to what it says. */
const startEverything = Effect.gen(function*() {
  const port = yield* freePort
  let said = ""
  yield* Effect.acquireRelease(
    Effect.promise(async () => {
      const child = spawn(process.execPath, [everything, "streamableHttp"], {
        env: { ...process.env, PORT: String(port) },
        stdio: ["ignore", "pipe", "pipe"]
      })
      await new Promise<void>((resolve) => {
        for (const stream of [child.stdout, child.stderr]) {
          stream.setEncoding("utf8").on("data", (chunk: string) => {
            said += chunk
            if (said.includes("listening")) resolve()
          })
        }
      })
      return child
    }),
    (child) =>
      Effect.promise(async () => {
        child.kill("SIGKILL")
        if (child.exitCode === null && child.signalCode === null) await once(child, "exit")
      })
  )
  const config = { transport: "streamable_http" as const, url: `http://127.0.0.1:${port}/mcp` }
  return { config, said: () => said }
})

const peers: ReadonlyArray<Foreign> = [
  {
    name: "server-everything over stdio",
    start: Effect.succeed({ transport: "stdio", command: process.execPath, args: [everything, "stdio"] }),
    tool: "get-sum",
    args: () => ({ a: 40, b: 2 }),
    answer: "The sum of 40 and 2 is 42."
  },
  {
    name: "server-everything over streamable HTTP",
    start: Effect.map(startEverything, ({ config }) => config),
    tool: "echo",
    args: () => ({ message: "over HTTP" }),
    answer: "Echo: over HTTP"
  },
  {
    name: "server-filesystem",
    start: Effect.map(directory, (path) => ({
      transport: "stdio",
      command: process.execPath,
      args: [filesystem, path],
      cwd: path
    })),
    tool: "read_text_file",
    args: (path) => ({ path: join(path, "note.txt") }),
    answer: "noted"
  }
]

describe("real servers", () => {
  for (const { answer, args, name, start, tool } of peers) {
    for (const protocol of ["auto", "legacy"] as const) {
      it.live(`${name} connects in ${protocol}, lists, answers and leaves nothing`, () =>
        Effect.gen(function*() {
          const config = yield* start
          const layer = Sessions.layer({ servers: { foreign: { ...config, protocol } } }).pipe(
            Layer.provide(Transports.layer)
          )
          const info = yield* Effect.gen(function*() {
            const session = yield* Effect.flatMap(Sessions.Sessions, (sessions) => sessions.get("foreign"))
            const tools = yield* session.listTools()
            assert.include(tools.map(({ name }) => name), tool)
            const path = config.transport === "stdio" ? config.cwd ?? "" : ""
            const result = yield* session.callTool(tool, args(path))
            assert.deepInclude(result.content[0], { type: "text", text: answer })
            yield* session.ping
            return yield* session.info
          }).pipe(Effect.scoped, Effect.provide(layer))
          assert.strictEqual(info.protocolVersion, "2025-11-25")
          if (config.transport === "stdio") assert.isFalse(isAlive(info.pid ?? 0))
        }).pipe(Effect.scoped))
    }
  }

  for (const { name, start } of peers.slice(0, 2)) {
    it.live(`${name} completes arguments, lists templates and reports progress`, () =>
      Effect.gen(function*() {
        const layer = Sessions.layer({ servers: { foreign: yield* start } }).pipe(Layer.provide(Transports.layer))
        yield* Effect.gen(function*() {
          const session = yield* Effect.flatMap(Sessions.Sessions, (sessions) => sessions.get("foreign"))
          const prompt = { type: "ref/prompt", name: "completable-prompt" } as const
          const department = yield* session.complete(prompt, { name: "department", value: "S" })
          assert.deepStrictEqual(department.values, ["Sales", "Support"])
          const person = yield* session.complete(prompt, { name: "name", value: "" }, {
            context: { department: "Sales" }
          })
          assert.deepStrictEqual(person.values, ["David", "Eve", "Frank"])
          const templates = yield* session.listResourceTemplates()
          assert.include(templates.map(({ uriTemplate }) => uriTemplate), "demo://resource/dynamic/text/{resourceId}")
          const reports: Array<number> = []
          const onProgress = ({ progress }: Mcp.Progress) => void reports.push(progress)
          yield* session.callTool("trigger-long-running-operation", { duration: 0.3, steps: 3 }, { onProgress })
          assert.deepStrictEqual(reports, [1, 2, 3])
        }).pipe(Effect.scoped, Effect.provide(layer))
      }).pipe(Effect.scoped))
  }

  it.live("server-everything over HTTP gets its session back", () =>
    Effect.gen(function*() {
      const { config, said } = yield* startEverything
      const layer = Sessions.layer({ servers: { foreign: config } }).pipe(Layer.provide(Transports.layer))
      yield* Effect.flatMap(Sessions.Sessions, (sessions) => sessions.callTool("foreign", "echo", { message: "x" }))
        .pipe(
          Effect.provide(layer)
        )
      const opened = /Session initialized with ID:? *(\S+)/.exec(said())?.[1] ?? "none"
      yield* until(said, (text) => text.includes(`Received session termination request for session ${opened}`))
    }).pipe(Effect.scoped))
})
