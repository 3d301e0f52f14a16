/**
 * The part of `run.ts` that every change has to pass: unpacks the libraries beside the dependencies that their manifests name, and no other, uses
 * every transport on this Node, once more from one bundled file, and compiles a program against the declarations. Needs the compiled packages,
 * and installs nothing.
 */
import { deepStrictEqual } from "node:assert/strict"
import { mkdir, readFile, symlink } from "node:fs/promises"
import { dirname, join } from "node:path"
import { bundle } from "./bundle.ts"
import { output, pack, root } from "./project.ts"
import { smoke } from "./smoke.ts"

/** Links a package of this repository into a directory. */
const link = async (...[directory, name, from]: readonly [directory: string, name: string, from: string]) => {
  const path = join(directory, "node_modules", name)
  await mkdir(dirname(path), { recursive: true })
  await symlink(join(root, from, "node_modules", name), path)
}

const libraries = ["core", "transports"] as const

const { directory, tarballs } = await pack(join(root, "node_modules/.cache/packed"), libraries)
for (const [index, name] of libraries.entries()) {
  const installed = join(directory, "node_modules/@mcp-sessions", name)
  await mkdir(installed, { recursive: true })
  await output(["tar", "-xzf", tarballs[index] ?? "", "--strip-components=1", "-C", installed], {})
  const { dependencies, peerDependencies } = JSON.parse(await readFile(join(installed, "package.json"), "utf8"))
  for (const dependency of Object.keys({ ...dependencies, ...peerDependencies })) {
    if (!dependency.startsWith("@mcp-sessions/")) await link(installed, dependency, `packages/${name}`)
  }
}
await link(directory, "effect", "packages/core")
await link(directory, "@types/node", "")

const tsc = join(root, "node_modules/.bin/tsc")
const compiled = output([tsc, "--project", "consumer.json"], { cwd: directory })
await smoke([process.execPath], "smoke.mjs", directory)
await bundle(directory, "smoke.mjs", "bundle.mjs")
await smoke([process.execPath], "bundle.mjs", directory)
// Who signs nobody in does not carry the code that does.
const modules = await bundle(directory, "plain.mjs", "plain.bundle.mjs")
deepStrictEqual(modules.filter((module) => /\/(?:oauth|consent)\//.test(module)), [])
await compiled
