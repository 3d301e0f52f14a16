/**
 * The processes of a comparison: servers with a port, and clients. All end by themselves when this process does.
 */
import { type ChildProcess, fork, spawn } from "node:child_process"
import { once } from "node:events"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import type { ServerOf } from "../test/peers/Peer.ts"
import type { Score, Spell } from "./contender.ts"

export const serverProgram = fileURLToPath(new URL("fixtures/server.mjs", import.meta.url))

/** Starts a server that prints its port. */
export const listen = async (kind: "http" | "websocket") => {
  const child = spawn(process.execPath, [serverProgram, kind], { stdio: ["pipe", "pipe", "inherit"] })
  const [port] = await once(createInterface(child.stdout), "line")
  return { port: String(port), close: () => child.stdin.end() }
}

/** How long a client may take to close, in milliseconds. */
const closeTimeout = 10_000

const nextMessage = async (child: ChildProcess, name: string): Promise<unknown> => {
  const ended = new AbortController()
  const exit = once(child, "exit", { signal: ended.signal }).then(() => {
    throw new Error(`the process of ${name} ended`)
  })
  exit.catch(() => {})
  try {
    const [message] = await Promise.race([once(child, "message", { signal: ended.signal }), exit])
    return message
  } finally {
    ended.abort()
  }
}

export interface Opened {
  readonly name: string
  readonly run: (spell: Spell) => Promise<Score>
  readonly close: () => Promise<void>
}

/** Starts a client and waits until it is connected. */
export const open = async (name: string, server: ServerOf): Promise<Opened> => {
  const program = fileURLToPath(new URL("contender.ts", import.meta.url))
  // The rest of this environment could make clients log or send telemetry.
  const { HOME, PATH } = process.env
  const child = fork(program, [name, JSON.stringify(server)], {
    env: { HOME, PATH, MASTRA_TELEMETRY_DISABLED: "1" },
    execArgv: [],
    stdio: ["ignore", "ignore", "inherit", "ipc"]
  })
  await nextMessage(child, name)
  return {
    name,
    run: async (spell) => {
      child.send(spell)
      return await nextMessage(child, name) as Score
    },
    close: async () => {
      const timer = setTimeout(() => child.kill("SIGKILL"), closeTimeout)
      child.disconnect()
      await once(child, "exit")
      clearTimeout(timer)
    }
  }
}
