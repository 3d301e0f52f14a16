/**
 * Everything that a change has to pass, in the order of what fails fastest. All steps run, whatever fails; the tests come
 * last, so that the last thing to be read is their summary.
 */
import { spawnSync } from "node:child_process"
import process from "node:process"

const steps: ReadonlyArray<readonly [name: string, command: string]> = [
  ["tools", "tsc -v | grep -q effect-tsgo"],
  ["format", "dprint check"],
  ["lint", "oxlint"],
  ["types", "tsc -b tsconfig.json"],
  ["unused", "knip"],
  ["packages", "pnpm --filter './packages/{core,transports}' exec publint --strict"],
  ["tests", `vitest run ${process.argv.slice(2).join(" ")}`]
]

const failed = steps.filter(([name, command]) => {
  const start = performance.now()
  const { status } = spawnSync(command, { shell: true, stdio: "inherit" })
  if (name !== "tests") {
    console.log(`${status === 0 ? "✓" : "✗"} ${name} ${((performance.now() - start) / 1000).toFixed(1)}s`)
  }
  return status !== 0
})

if (failed.length > 0) {
  console.error(`failed: ${failed.map(([name]) => name).join(", ")}`)
  process.exit(1)
}
