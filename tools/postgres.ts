/**
 * Starts PostgreSQL for the tests of a run, once the first of them asks for it. It does so if the machine has no server
 * (`test/fixtures/postgres.ts`).
 */
import { spawn } from "node:child_process"
import { once } from "node:events"
import { type AddressInfo, createServer } from "node:net"
import { join } from "node:path"
import process from "node:process"

const program = join(import.meta.dirname, "../test/fixtures/embeddedPostgres.ts")

/**
 * Starts the program of the server. It is in a process group of its own, so that an interrupt at the terminal reaches it only as the end of its
 * stdin, in order.
 */
const start = () => {
  const child = spawn(process.execPath, [program], { stdio: ["pipe", "pipe", "inherit"], detached: true })
  const exited = once(child, "exit")
  const line = new Promise<string>((resolve) => {
    child.stdout.setEncoding("utf8").once("data", resolve)
    child.once("exit", () => resolve("{\"why\":\"the program of the embedded PostgreSQL has ended\"}\n"))
  })
  const stop = async (): Promise<void> => {
    child.stdin.end()
    await exited
  }
  return { line, stop }
}

/**
 * The global setup of Vitest. Each connection to the port in `TEST_POSTGRES` receives a line of JSON: the port of the server, or the reason why the
 * server did not start.
 * Returns what stops the server.
 */
export const setup = async (): Promise<() => Promise<void>> => {
  let started: ReturnType<typeof start> | undefined
  const asked = createServer((socket) => {
    started ??= start()
    socket.on("error", () => socket.destroy())
    void started.line.then((line) => socket.end(line))
  })
  asked.listen(0, "127.0.0.1")
  await once(asked, "listening")
  process.env.TEST_POSTGRES = String((asked.address() as AddressInfo).port)
  return async () => {
    asked.close()
    await started?.stop()
  }
}
