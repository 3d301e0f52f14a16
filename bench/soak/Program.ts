/**
 * A server of the soak as a process of its own, which takes orders and can be made to suffer.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { createInterface } from "node:readline"
import type { Writable } from "node:stream"
import { setTimeout } from "node:timers/promises"
import { fileURLToPath } from "node:url"

/** What a server tells of itself. */
export type Answer = Readonly<Record<string, number>>

const fixture = (name: string): string => fileURLToPath(new URL(`../fixtures/${name}`, import.meta.url))

export const serverFixture = fixture("soakServer.mjs")
export const proxyFixture = fixture("soakProxy.mjs")

export class Program {
  readonly #args: ReadonlyArray<string>
  #child: ChildProcess | undefined
  #waiting: Array<(answer: Answer) => void> = []
  port = 0

  constructor(args: ReadonlyArray<string>) {
    this.#args = args
  }

  get pid(): number | undefined {
    return this.#child?.pid
  }

  get isGone(): boolean {
    return this.#child === undefined || this.#child.exitCode !== null || this.#child.signalCode !== null
  }

  /** Starts it, on the port that it had before if there was one: again where somebody else has that just now. */
  async start(): Promise<void> {
    for (let tries = 1; tries < 50; tries++) {
      if (await this.#startOnce()) return
      await setTimeout(200)
    }
    throw new Error(`${this.#args.join(" ")} does not start`)
  }

  /** Gives an order and waits until it has been carried out. One that is not there does nothing. */
  tell(order: string): Promise<Answer> {
    const input: Writable | null | undefined = this.#child?.stdin
    if (this.isGone || input === null || input === undefined) return Promise.resolve({})
    return new Promise((resolve) => {
      this.#waiting.push(resolve)
      input.write(`${order}\n`)
    })
  }

  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal)
  }

  async kill(): Promise<void> {
    await this.#end(() => this.#child?.kill("SIGKILL"))
  }

  async stop(): Promise<void> {
    await this.#end(() => {
      this.#child?.kill("SIGCONT")
      this.#child?.stdin?.end()
    })
  }

  async #startOnce(): Promise<boolean> {
    const args = this.port === 0 ? this.#args : [...this.#args, String(this.port)]
    const child = this.#child = spawn(process.execPath, args, { stdio: ["pipe", "pipe", "inherit"] })
    // An order to one that was killed gets no answer.
    child.stdin.on("error", () => {})
    child.once("exit", () => {
      for (const answer of this.#waiting.splice(0)) answer({})
    })
    const lines = createInterface(child.stdout)
    const port = await Promise.race([once(lines, "line").then(([line]) => Number(line)), once(child, "exit")])
    if (typeof port !== "number") return false
    this.port = port
    lines.on("line", (line) => this.#waiting.shift()?.(JSON.parse(line)))
    return true
  }

  async #end(how: () => void): Promise<void> {
    if (this.isGone || this.#child === undefined) return
    const exited = once(this.#child, "exit")
    how()
    await exited
  }
}
