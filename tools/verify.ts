/**
 * Everything that a change has to pass. The checks run beside each other; the tests come last, so that their summary is the last thing
 * to read. All steps run, also after one has failed.
 */
import { spawn } from "node:child_process"
import { join } from "node:path"
import process from "node:process"

const checks: ReadonlyArray<readonly [name: string, command: string]> = [
  ["tools", "tsc -v | grep -q effect-tsgo"],
  ["format", "dprint check"],
  ["lint", "oxlint"],
  ["types", "tsc -b tsconfig.json"],
  ["unused", "knip"],
  ["packages", "pnpm --filter './packages/{core,transports}' exec publint --strict"]
]
const tests = `vitest run ${process.argv.slice(2).join(" ")}`

const env = { ...process.env, NODE_COMPILE_CACHE: join(import.meta.dirname, "../node_modules/.cache/node") }

/** Runs a command; gives its exit code and what it printed, unless that went to the terminal. */
const run = (command: string, stdio: "inherit" | "pipe") =>
  new Promise<{ readonly code: number | null; readonly output: string }>((resolve) => {
    const child = spawn(command, { shell: true, stdio: ["inherit", stdio, stdio], env })
    let output = ""
    for (const stream of [child.stdout, child.stderr]) stream?.setEncoding("utf8").on("data", (text) => output += text)
    child.once("close", (code) => resolve({ code, output }))
  })

const failed: Array<string> = []
await Promise.all(checks.map(async ([name, command]) => {
  const start = performance.now()
  const { code, output } = await run(command, "pipe")
  if (code !== 0) failed.push(name)
  const seconds = ((performance.now() - start) / 1000).toFixed(1)
  console.log(`${code === 0 ? "✓" : `${output.trimEnd()}\n✗`} ${name} ${seconds}s`)
}))
if ((await run(tests, "inherit")).code !== 0) failed.push("tests")

if (failed.length > 0) {
  console.error(`failed: ${failed.join(", ")}`)
  process.exit(1)
}
