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

const { values: { rounds: roundsFlag, write: isWriting } } = parseArgs({
  options: { rounds: { type: "string", default: "15" }, write: { type: "boolean", default: false } }
})
const rounds = Number(roundsFlag)

const pathOf = (path: string): string => fileURLToPath(new URL(`../${path}`, import.meta.url))
const directory = mkdtempSync(join(tmpdir(), "bench-cli-"))
const bundle = join(directory, "bundle")
execFileSync(pathOf("node_modules/.bin/rolldown"), ["-c", "--dir", bundle], {
  cwd: pathOf("packages/cli"),
  stdio: ["ignore", "ignore", "inherit"]
})
writeFileSync(join(directory, "package.json"), JSON.stringify({ type: "module" }))
const everything = { type: "stdio", command: pathOf("node_modules/.bin/mcp-server-everything"), args: ["stdio"] }
writeFileSync(join(directory, ".mcp.json"), JSON.stringify({ mcpServers: { everything } }))

// Each program has a home of its own, and none finds what its user has configured.
const environment = { PATH: process.env.PATH ?? "", HOME: directory }
const here = [process.execPath, join(bundle, "bin.js")]
const peer = (name: string): string => pathOf(`test/peers/node_modules/.bin/${name}`)
const call = ["call", "everything/echo", "message=hello"]
const warmPeer = [peer("mcpdo"), "--connection", "everything", "tools/call", "echo", "message:=hello"]

interface Contender {
  readonly name: string
  readonly group: "start" | "one call" | "warm call"
  readonly command: ReadonlyArray<string>
  readonly env?: Readonly<Record<string, string>>
}

const start = (command: ReadonlyArray<string>, name: string): Contender => ({ name, group: "start", command })
const contenders = (warm: Readonly<Record<string, string>>): ReadonlyArray<Contender> => [
  start([process.execPath, "-e", "0"], "node -e 0"),
  start([...here, "--version"], "mcp-sessions --version"),
  start([peer("mcporter"), "--version"], "mcporter --version"),
  start([peer("mcpdo"), "--version"], "mcpdo --version"),
  {
    name: "raw client",
    group: "one call",
    command: [process.execPath, pathOf("bench/fixtures/oneShot.mjs"), everything.command, ...everything.args]
  },
  { name: "mcp-sessions call", group: "one call", command: [...here, ...call] },
  {
    name: "mcporter call",
    group: "one call",
    command: [peer("mcporter"), "--config", ".mcp.json", "call", "everything.echo", "message=hello"]
  },
  { name: "mcpdo tools/call", group: "warm call", command: warmPeer },
  { name: "mcp-sessions call", group: "warm call", command: [...here, ...call], env: warm }
]

const run = ({ command, env, name }: Contender, more: Readonly<Record<string, string>> = {}) => {
  const [program = "", ...args] = command
  const startedAt = performance.now()
  const { pid, status, stderr, stdout } = spawnSync(program, args, {
    cwd: directory,
    env: { ...environment, ...env, ...more },
    encoding: "utf8"
  })
  const millis = performance.now() - startedAt
  if (status !== 0 || (name.includes("call") && !stdout.includes("hello"))) {
    throw new Error(`${command.join(" ")} ended with ${status}: ${stdout}${stderr}`)
  }
  return { millis, pid }
}

/** Reads the peak memory of a command in MiB, in a run that is not timed. */
const memoryOf = (contender: Contender): number => {
  const { pid } = run(contender, {
    NODE_OPTIONS: `--import=${pathOf("bench/fixtures/memory.mjs")}`,
    MEMORY_DIRECTORY: directory
  })
  return Number(readFileSync(join(directory, String(pid)), "utf8")) / 1024
}

const median = (values: ReadonlyArray<number>): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN

/** Has the commands take turns: a machine that is slow for a while is slow for all of them. */
const measure = (all: ReadonlyArray<Contender>) => {
  const times = all.map((contender) => ({ contender, millis: new Array<number>() }))
  // What the first runs compile and cache is not what later ones cost.
  for (const contender of all) run(contender)
  for (let round = 0; round < rounds; round++) {
    for (
      const { contender, millis } of [...times.slice(round % times.length), ...times.slice(0, round % times.length)]
    ) {
      millis.push(run(contender).millis)
    }
    process.stderr.write(".")
  }
  process.stderr.write("\n")
  return times.map(({ contender, millis }) => {
    const base = times.find(({ contender: { group } }) => group === contender.group)?.millis ?? []
    return {
      contender,
      millis: median(millis),
      ratio: median(millis.map((value, round) => value / (base[round] ?? Number.NaN))),
      memory: memoryOf(contender)
    }
  })
}

/** Holds the session of the server while the commands run. */
const up = spawn(here[0] ?? "", [...here.slice(1), "up", "--json"], {
  cwd: directory,
  env: { ...environment, XDG_RUNTIME_DIR: directory },
  stdio: ["ignore", "pipe", "inherit"]
})
const [opened] = await once(up.stdout, "data")
run({
  name: "connect",
  group: "warm call",
  command: [peer("mcpdo"), "--config", ".mcp.json", "connect", "everything"]
})
try {
  // The socket is in a directory of its own: commands without this address do not find it.
  const warm = { MCP_SESSIONS_SOCK: JSON.parse(String(opened)).socket }
  const rows = measure(contenders(warm)).map(({ contender: { group, name }, memory, millis, ratio }) => [
    group,
    name,
    millis.toFixed(0),
    `${ratio.toFixed(2)}×`,
    memory.toFixed(0)
  ])
  const results = table(["", "command", "ms", "to the first of the group", "peak MiB"], rows, "right")
  console.log(results)
  if (isWriting) replace("docs/performance.md", "cli", results)
} finally {
  run({ name: "disconnect", group: "warm call", command: [peer("mcpdo"), "daemon", "stop"] })
  up.kill("SIGTERM")
  await once(up, "exit")
  rmSync(directory, { recursive: true })
}
