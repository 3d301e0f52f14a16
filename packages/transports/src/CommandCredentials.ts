/**
 * Credentials that a command prints: for servers whose tokens come from a program, such as a vault or the command line of a cloud.
 *
 * The command prints a JSON object of headers. They are sent with every request to the server, over HTTP, SSE and WebSocket, beside those of
 * the definition. A request that the server refuses with 401 waits for one more run, which all requests of the owner share, and is sent once
 * more if the headers have changed.
 *
 * **Details**
 *
 * The command runs without a shell, with the variables of this process, and with `MCP_SERVER_NAME`, `MCP_SERVER_URL` and `MCP_OWNER`. It has
 * 10 seconds, and may print 64 KiB; then it is killed with all that it started. What it prints on stderr is not read. Headers are kept in
 * memory only, and no error shows them.
 *
 * **Gotchas**
 *
 * A header that the definition has already is a failure of the command, not a second value. Do not combine a command with `OAuth` at one server: give its definition `auth: false`.
 *
 * **Example** (Headers from a command)
 *
 * ```ts import.meta.vitest
 * import { Sessions } from "@mcp-sessions/core"
 * import { CommandCredentials, Transports } from "@mcp-sessions/transports"
 * import { Effect, Layer } from "effect"
 * import { createServer } from "node:http"
 *
 * const server = createServer((request, response) => response.writeHead(request.headers["x-key"] === "k" ? 418 : 401).end())
 * await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve))
 *
 * const transports = CommandCredentials.layer({
 *   commands: { files: { command: process.execPath, args: ["-p", `JSON.stringify({ "x-key": "k" })`] } }
 * }).pipe(Layer.provide(Transports.layer))
 *
 * const live = Sessions.layer({
 *   servers: { files: { url: `http://127.0.0.1:${server.address().port}/mcp`, protocol: "legacy" } }
 * }).pipe(Layer.provide(transports))
 *
 * const error = await Effect.runPromise(Effect.provide(
 *   Effect.flip(Effect.flatMap(Sessions.Sessions, ({ callTool }) => callTool("files", "read"))),
 *   live
 * ))
 * server.close()
 * error.reason.status // => 418
 * ```
 *
 * @since 0.1.0
 */
import type { ServerDefinition } from "@mcp-sessions/core/ServerConfig"
import { CredentialsFailed } from "@mcp-sessions/core/SessionError"
import { Transports } from "@mcp-sessions/core/Transport"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberSet from "effect/FiberSet"
import * as Layer from "effect/Layer"
import { CommandSource } from "./internal/command/commandSource.ts"
import { authorizedTransports } from "./internal/network/authorizedTransports.ts"

/**
 * A command that prints a JSON object of headers.
 *
 * @category models
 * @since 0.1.0
 */
export interface HeadersCommand {
  /** The program. It is found as the platform finds programs, and no shell reads it. */
  readonly command: string
  /** The arguments of the program. Default: none. */
  readonly args?: ReadonlyArray<string> | undefined
  /** Variables beside those of this process. */
  readonly env?: Readonly<Record<string, string>> | undefined
  /** How long the command may take. Default: 10 seconds. */
  readonly timeout?: Duration.Input | undefined
  /** How long its headers are used. Default: until the server refuses them. */
  readonly timeToLive?: Duration.Input | undefined
}

const make = (commands: Readonly<Record<string, HeadersCommand>>) =>
  Effect.gen(function*() {
    const clock = yield* Clock.Clock
    const runPromise = yield* FiberSet.makeRuntimePromise()
    const sources = new Map<string, CommandSource>()

    /** The headers of an owner at a server, shared by all its connections; `undefined`: the server has no command. */
    return ({ config, name }: ServerDefinition, owner: string): CommandSource | undefined => {
      const found = Object.hasOwn(commands, name) ? commands[name] : undefined
      if (found === undefined || config.transport === "stdio") return undefined
      const key = JSON.stringify([name, owner])
      const known = sources.get(key)
      if (known !== undefined) return known
      const { args = [], command, env = {}, timeToLive, timeout = "10 seconds" } = found
      const about = { MCP_SERVER_NAME: name, MCP_SERVER_URL: config.url, MCP_OWNER: owner }
      const source = new CommandSource({
        command: { command, args, env: { ...env, ...about } },
        timeout: Duration.toMillis(Duration.fromInputUnsafe(timeout)),
        timeToLive: timeToLive === undefined ? undefined : Duration.toMillis(Duration.fromInputUnsafe(timeToLive)),
        now: () => Number(clock.monotonicTimeNanosUnsafe() / 1_000_000n),
        taken: new Set(Object.keys(config.headers).map((header) => header.toLowerCase())),
        run: (effect) => runPromise(Effect.exit(effect)).catch(() => Exit.interrupt())
      })
      sources.set(key, source)
      return source
    }
  })

/**
 * Layer that sends the headers of a command with the requests to a server, through the transports that it is given.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: {
  /** The commands, by the names of their servers. */
  readonly commands: Readonly<Record<string, HeadersCommand>>
}): Layer.Layer<Transports, never, Transports> =>
  Layer.effect(
    Transports,
    Effect.gen(function*() {
      const sourceOf = yield* make(options.commands)
      return authorizedTransports({
        inner: yield* Transports,
        sourceOf: (definition, owner) => {
          const authorizer = sourceOf(definition, owner)
          if (authorizer === undefined) return undefined
          return {
            authorizer,
            load: Effect.mapError(authorizer.load, (cause) => new CredentialsFailed({ owner, cause }))
          }
        }
      })
    })
  )
