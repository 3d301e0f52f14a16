/**
 * Packs the packages, installs them into an empty project, and runs the checks there whose titles contain the argument; all of them without
 * one. If all succeed, writes the versions and sizes to `docs/packages.md`.
 */
import { writeFile } from "node:fs/promises"
import { join } from "node:path"
import { checks } from "./checks.ts"
import { page } from "./page.ts"
import { makeProject, root } from "./project.ts"

const [part = ""] = process.argv.slice(2)
const project = await makeProject()
let failed = 0
for (const { run, title } of checks.filter(({ title }) => title.includes(part))) {
  const start = performance.now()
  const problem = await run(project).then(() => undefined, (error: unknown) => error)
  if (problem !== undefined) failed += 1
  const seconds = ((performance.now() - start) / 1000).toFixed(1)
  console.log(`${problem === undefined ? "✓" : "✗"} ${title} ${seconds}s`)
  if (problem !== undefined) console.error(problem)
}
if (failed > 0) process.exitCode = 1
else if (part === "") await writeFile(join(root, "docs/packages.md"), await page(project))
