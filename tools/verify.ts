/**
 * Everything that a change has to pass. The checks and the tests run beside each other, as each leaves processors idle at times. All steps
 * run, also after one has failed, and what failed is the last thing to read.
 */
import { spawn } from "node:child_process"
import { join } from "node:path"
import process from "node:process"

type Check = readonly [name: string, command: string]

/** Each list runs in order: the packages can be checked once the compiler has built them. */
const checks: ReadonlyArray<ReadonlyArray<Check>> = [
  [["tools", "tsc -v | grep -q effect-tsgo"]],
  [["format", "dprint check"]],
  [["lint", "oxlint"]],
  [
    // More checkers repeat work, and find no idle processor beside the tests.
    ["types", "tsc -b tsconfig.json --builders 1 --checkers 1"],
    ["packages", "pnpm --filter './packages/{core,transports}' exec publint --strict"],
    ["packed", "node test/packed/light.ts"]
  ],
  [["unused", "knip"]]
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
const check = async ([name, command]: Check) => {
  const start = performance.now()
  const { code, output } = await run(command, "pipe")
  if (code !== 0) failed.push(name)
  const seconds = ((performance.now() - start) / 1000).toFixed(1)
  console.log(`${code === 0 ? "✓" : `${output.trimEnd()}\n✗`} ${name} ${seconds}s`)
}
const checked = checks.map(async (inOrder) => {
  for (const one of inOrder) await check(one)
})
if ((await run(tests, "inherit")).code !== 0) failed.push("tests")
await Promise.all(checked)

if (failed.length > 0) {
  console.error(`failed: ${failed.join(", ")}`)
  process.exit(1)
}
