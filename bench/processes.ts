/**
 * The processes of a comparison: servers that have a port, and contenders. All end by themselves when this one does.
 */
import type { ServerOf } from "@mcp-sessions/peers/Peer.ts"
import { type ChildProcess, fork, spawn } from "node:child_process"
import { once } from "node:events"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import type { Run } from "./harness.ts"

export const fixture = (name: string): string => fileURLToPath(new URL(`fixtures/${name}`, import.meta.url))

export interface Listening {
  readonly port: string
  readonly close: () => void
}

export const listen = async (name: string): Promise<Listening> => {
  const child = spawn(process.execPath, [fixture(name)], { stdio: ["pipe", "pipe", "inherit"] })
  const [port] = await once(createInterface(child.stdout), "line")
  return { port: String(port), close: () => child.stdin.end() }
}

/** How long a client may take to close, in milliseconds. */
const patience = 10_000

const nextMessage = async (child: ChildProcess, name: string): Promise<unknown> => {
  const ended = new AbortController()
  const exit = once(child, "exit", { signal: ended.signal }).then(() => {
    throw new Error(`${name} ended`)
  })
  // Of the two, the one that loses is of no interest.
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
  readonly run: Run
  readonly close: () => Promise<void>
}

export const open = async (name: string, server: ServerOf): Promise<Opened> => {
  const program = fileURLToPath(new URL("contender.ts", import.meta.url))
  // Nothing else of this environment, which may well have clients report to someone or log.
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
      return Number(await nextMessage(child, name))
    },
    close: async () => {
      const timer = setTimeout(() => child.kill("SIGKILL"), patience)
      child.disconnect()
      await once(child, "exit")
      clearTimeout(timer)
    }
  }
}
