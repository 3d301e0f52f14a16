/**
 * The heap of a gateway for each client, before and after the client uses a session at a server.
 */
import { once } from "node:events"
import { createInterface } from "node:readline"
import { Agent } from "undici"
import { type Started, startGateway, startLeast, stop } from "./programs.ts"
import { connect } from "./roles.ts"

const [clientCount, serverCount] = [1000, 20]

const heapOf = async ({ child }: Started): Promise<number> => {
  const lines = createInterface(child.stdout ?? process.stdin)
  child.stdin?.write("heap\n")
  const [line] = await once(lines, "line") as [string]
  lines.close()
  return Number(line)
}

/** KiB for each client that has used no session, and for each that has used one. */
export const measureHeap = async (): Promise<{ readonly unused: number; readonly used: number }> => {
  const least = await startLeast()
  const names = Array.from({ length: serverCount }, (_, n) => `server${n}`)
  const gateway = await startGateway(Object.fromEntries(names.map((name) => [name, { url: least.url }])))
  // Requests one after another: what many sockets cost is not what sessions cost.
  const dispatcher = new Agent({ connections: 1 })
  const clients = [await connect(gateway.url, dispatcher)]
  await clients[0]?.call("server0_echo")
  const before = await heapOf(gateway)
  for (let n = 0; n < clientCount; n++) clients.push(await connect(gateway.url, dispatcher))
  const connected = await heapOf(gateway)
  for (const [n, { call }] of clients.slice(1).entries()) await call(`server${n % serverCount}_echo`)
  const used = await heapOf(gateway)
  await dispatcher.close()
  for (const one of [gateway, least]) stop(one)
  const perClient = (bytes: number) => (bytes - before) / clientCount / 1024
  return { unused: perClient(connected), used: perClient(used) }
}
