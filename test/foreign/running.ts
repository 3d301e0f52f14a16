/**
 * Starts servers of other people, and observes their processes, sockets and sessions.
 */
import type { ServerConfig } from "@mcp-sessions/core"
import { Effect } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import { randomUUID } from "node:crypto"
import { once } from "node:events"
import { openSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { makeLedger } from "../fixtures/ledger.ts"
import { until } from "../fixtures/peer.ts"
import { descendants } from "../fixtures/processes.ts"
import { type Foreign, local, wordsOf } from "./servers.ts"

/** Long enough for a server that responds to the probe on a busy machine. */
const probeTimeout = "20 seconds"

const configOf = (way: string, address: string): ServerConfig.ServerConfigInput =>
  // The one server on WebSockets does not respond to the probe: it drops responses whose ids are not numbers.
  way === "websocket"
    ? { transport: way, url: `ws://${address}`, probeTimeout: "300 millis" }
    : way === "sse"
    ? { transport: way, url: `http://${address}`, probeTimeout }
    : { transport: "streamable_http", url: `http://${address}`, sseFallback: way === "http", probeTimeout }

/** A home directory, and an environment that marks every process which inherits it. No process may outlive it. */
const home = Effect.gen(function*() {
  const ledger = yield* makeLedger
  const id = randomUUID()
  const processes = () => descendants(`FOREIGN=${id}`)
  yield* Effect.addFinalizer(() =>
    until(processes, (left) => left.length === 0).pipe(
      Effect.ensuring(Effect.sync(() => {
        for (const id of processes()) process.kill(Number(id), "SIGKILL")
      }))
    )
  )
  writeFileSync(join(ledger.directory, "note.txt"), "noted")
  return { ...ledger, processes, env: { HOME: ledger.directory, FOREIGN: id } }
})

/** Starts a server with Node, on a port that it chooses or on one that is given. Waits until it listens and has printed `prints`. */
const listening = Effect.fnUntraced(function*(foreign: Foreign, place: Effect.Success<typeof home>) {
  const { directory, env, file, read } = place
  const log = join(directory, "log")
  const output = () => readFileSync(log, "utf8")
  let child: ChildProcess | undefined
  const stop = Effect.promise(async () => {
    child?.kill("SIGKILL")
    if (child?.exitCode === null && child.signalCode === null) await once(child, "exit")
  })
  yield* Effect.addFinalizer(() => stop)
  const start = Effect.fnUntraced(function*(port: string) {
    writeFileSync(file, "")
    const [node = "", ...args] = wordsOf(foreign, directory)
    const stream = openSync(log, "w")
    child = spawn(node, ["--import", local("programs/listen.mjs"), ...args], {
      cwd: directory,
      env: { PATH: process.env.PATH, LISTEN: port, LEDGER: file, ...env },
      stdio: ["ignore", stream, stream]
    })
    while (read("port").length === 0 || !output().includes(foreign.prints ?? "")) {
      if (child.exitCode !== null) return yield* Effect.die(new Error(`it ended before it listened: ${output()}`))
      yield* Effect.sleep("20 millis")
    }
    return read("port")[0] ?? ""
  })
  const port = yield* start("0")
  return { port, output, restart: Effect.andThen(stop, Effect.asVoid(Effect.suspend(() => start(port)))) }
})

/** Starts a server that can be connected to, in one or more ways. The library itself starts a server on stdio. */
export const start = Effect.fnUntraced(function*(foreign: Foreign) {
  const place = yield* home
  const { directory, env, processes, read } = place
  const [command = "", ...args] = wordsOf(foreign, directory)
  const { output, port, restart } = foreign.at === undefined
    ? { port: "", output: () => "", restart: Effect.die(new Error("the library starts a server on stdio")) }
    : yield* listening(foreign, place)
  const ways = Object.entries(foreign.at ?? {}).map(([way, path]) => [way, configOf(way, `127.0.0.1:${port}${path}`)])
  const configs: Readonly<Record<string, ServerConfig.ServerConfigInput>> = foreign.at === undefined
    ? { stdio: { transport: "stdio", command, args, env, cwd: directory, probeTimeout } }
    : Object.fromEntries(ways)
  return {
    configs,
    /** A variable with its value in the environment of all its processes. */
    marker: `FOREIGN=${env.FOREIGN}`,
    /** The ids of its processes. */
    processes,
    sockets: () => ({ opened: read("opened").length, open: read("opened").length - read("closed").length }),
    /** The HTTP sessions that it started, each with the status of the response to its `DELETE`. */
    sessions: (): ReadonlyArray<readonly [id: string, status: string | undefined]> => {
      const ended = new Map(read("deleted").map((line) => line.split(" ") as [string, string]))
      return [...new Set(read("session"))].map((id) => [id, ended.get(id)])
    },
    output,
    /** Kills it, starts it again at the same address, and waits until it listens. */
    restart
  }
})

export type Running = Effect.Success<ReturnType<typeof start>>
