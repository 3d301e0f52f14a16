/**
 * Compares commands: this command line, a raw client and other command lines, on the reference server `server-everything`. Prints a table;
 * `--write` also writes it to `docs/performance.md` (`pnpm bench:cli`). `--rounds N` sets the number of rounds.
 */
import { execFileSync, spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { replace, table } from "../tools/markdown.ts"
import { median, medianRatio, takeTurns } from "./rounds.ts"

const { values: { rounds, write: isWriting } } = parseArgs({
  options: { rounds: { type: "string", default: "15" }, write: { type: "boolean", default: false } }
})

const pathOf = (path: string): string => fileURLToPath(new URL(`../${path}`, import.meta.url))
const directory = mkdtempSync(join(tmpdir(), "bench-cli-"))
execFileSync(pathOf("node_modules/.bin/rolldown"), ["-c", "--dir", directory], {
  cwd: pathOf("packages/cli"),
  stdio: ["ignore", "ignore", "inherit"]
})
writeFileSync(join(directory, "package.json"), JSON.stringify({ type: "module" }))
const everything = { type: "stdio", command: pathOf("node_modules/.bin/mcp-server-everything"), args: ["stdio"] }
writeFileSync(join(directory, ".mcp.json"), JSON.stringify({ mcpServers: { everything } }))

const node = process.execPath
const here = [node, join(directory, "bin.js")]
const client = (name: string): string => pathOf(`test/otherClients/node_modules/.bin/${name}`)
const [mcporter, mcpdo] = [client("mcporter"), client("mcpdo")]
const call = [...here, "call", "everything/echo", "message=hello"]
const oneShot = [node, pathOf("bench/fixtures/oneShot.mjs"), everything.command, ...everything.args]
const mcporterCall = [mcporter, "--config", ".mcp.json", "call", "everything.echo", "message=hello"]
const mcpdoCall = [mcpdo, "--connection", "everything", "tools/call", "echo", "message:=hello"]

type Environment = Readonly<Record<string, string>>
type Contender = readonly [group: string, name: string, command: ReadonlyArray<string>, env?: Environment]

const contendersOf = (warm: Environment): ReadonlyArray<Contender> => [
  ["start", "node -e 0", [node, "-e", "0"]],
  ["start", "mcp-sessions --version", [...here, "--version"]],
  ["start", "mcporter --version", [mcporter, "--version"]],
  ["start", "mcpdo --version", [mcpdo, "--version"]],
  ["one call", "raw client", oneShot],
  ["one call", "mcp-sessions call", call],
  ["one call", "the same, the first time", call, { MCP_SESSIONS_EARLY_START: "0" }],
  ["one call", "mcporter call", mcporterCall],
  ["warm call", "mcpdo tools/call", mcpdoCall],
  ["warm call", "mcp-sessions call", call, warm]
]

// Each program has a home of its own, and none finds what its user has configured.
const environment = { PATH: process.env.PATH ?? "", HOME: directory }

const run = ([program = "", ...args]: ReadonlyArray<string>, env: Environment = {}) => {
  const startedAt = performance.now()
  const child = spawnSync(program, args, { cwd: directory, env: { ...environment, ...env }, encoding: "utf8" })
  const millis = performance.now() - startedAt
  if (child.status !== 0) throw new Error(`${program} ${args.join(" ")}: ${child.stdout}${child.stderr}`)
  return { millis, pid: child.pid, stdout: child.stdout }
}

/** Reads the peak memory of a command in MiB, in a run that is not timed. */
const memoryOf = ([group, name, command, env]: Contender): number => {
  const options = { NODE_OPTIONS: `--import=${pathOf("bench/fixtures/memory.mjs")}`, MEMORY_DIRECTORY: directory }
  const { pid, stdout } = run(command, { ...env, ...options })
  if (group !== "start" && !stdout.includes("hello")) throw new Error(`${name} printed ${stdout}`)
  return Number(readFileSync(join(directory, String(pid)), "utf8")) / 1024
}

// A project file starts programs once its user trusts it.
run([...here, "config", "trust"])

/** Holds the session of the server while the commands run. */
const up = spawn(node, [...here.slice(1), "up", "--json"], {
  cwd: directory,
  env: { ...environment, XDG_RUNTIME_DIR: directory },
  stdio: ["ignore", "pipe", "inherit"]
})
const [opened] = await once(up.stdout, "data")
run([mcpdo, "--config", ".mcp.json", "connect", "everything"])
try {
  // The socket is in a directory of its own: commands without this address do not find it.
  const contenders = contendersOf({ MCP_SESSIONS_SOCK: JSON.parse(String(opened)).socket })
  // What this first run compiles and caches is not what later ones cost.
  const memory = contenders.map(memoryOf)
  const times = await takeTurns({
    contenders,
    rounds: Number(rounds),
    measure: ([, , command, env]) => run(command, env).millis
  })
  const rows = contenders.map(([group, name], index) => {
    const first = contenders.findIndex((contender) => contender[0] === group)
    const millis = times[index] ?? []
    const ratio = medianRatio(millis, times[first] ?? [])
    return [group, name, median(millis).toFixed(0), `${ratio.toFixed(2)}×`, memory[index]?.toFixed(0) ?? ""]
  })
  const results = table(["", "command", "ms", "to the first of the group", "peak MiB"], rows, "right")
  console.log(results)
  if (isWriting) replace("docs/performance.md", "cli", results)
} finally {
  run([mcpdo, "daemon", "stop"])
  up.kill("SIGTERM")
  await once(up, "exit")
  rmSync(directory, { recursive: true })
}
