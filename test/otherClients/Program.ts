/**
 * A server as a child process. It prints the port on which it listens, takes orders on its input, a line each, answers each with a line
 * of JSON, and ends with its input.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { createInterface } from "node:readline"
import { setTimeout } from "node:timers/promises"

type Counts = Readonly<Record<string, number>>

export class Program {
  readonly #args: ReadonlyArray<string>
  #child: ChildProcess | undefined
  #waiting: Array<(response: Counts) => void> = []
  port = "0"

  /** `args`: those of Node. */
  constructor(args: ReadonlyArray<string>) {
    this.#args = args
  }

  get pid(): number | undefined {
    return this.#child?.pid
  }

  get isGone(): boolean {
    return this.#child === undefined || this.#child.exitCode !== null || this.#child.signalCode !== null
  }

  /** Starts it, on the port that it had before if there was one; tries again while another process has that port. */
  async start(): Promise<this> {
    for (let tries = 1; tries < 50; tries++) {
      if (await this.#startOnce()) return this
      await setTimeout(200)
    }
    throw new Error(`${this.#args.join(" ")} does not start`)
  }

  /** Gives an order and waits until it is carried out. Does nothing when the process is gone. */
  order(order: string): Promise<Counts> {
    if (this.isGone) return Promise.resolve({})
    return new Promise((resolve) => {
      this.#waiting.push(resolve)
      this.#child?.stdin?.write(`${order}\n`)
    })
  }

  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal)
  }

  kill(): Promise<void> {
    return this.#end(() => this.signal("SIGKILL"))
  }

  /** Ends its input, and waits until it has ended. */
  stop(): Promise<void> {
    return this.#end(() => {
      this.signal("SIGCONT")
      this.#child?.stdin?.end()
    })
  }

  async #startOnce(): Promise<boolean> {
    const child = this.#child = spawn(process.execPath, this.#args, {
      env: { ...process.env, PORT: this.port },
      stdio: ["pipe", "pipe", "inherit"]
    })
    // An order to a process that was killed gets no response.
    child.stdin.on("error", () => {})
    child.once("exit", () => {
      for (const resolve of this.#waiting.splice(0)) resolve({})
    })
    const lines = createInterface(child.stdout)
    const [port] = await Promise.race([once(lines, "line"), once(child, "exit")])
    if (typeof port !== "string") return false
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
