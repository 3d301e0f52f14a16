/**
 * The part of `run.ts` that every change has to pass: unpacks the libraries beside the dependencies that their manifests name, and no other, and
 * uses every transport on this Node. Needs the compiled packages, and installs nothing.
 */
import { mkdir, readFile, symlink } from "node:fs/promises"
import { dirname, join } from "node:path"
import { output, pack, root } from "./project.ts"
import { smoke } from "./smoke.ts"

const libraries = ["core", "transports"] as const

const { directory, tarballs } = await pack(join(root, "node_modules/.cache/packed"), libraries)
for (const [index, name] of libraries.entries()) {
  const installed = join(directory, "node_modules/@mcp-sessions", name)
  await mkdir(installed, { recursive: true })
  await output(["tar", "-xzf", tarballs[index] ?? "", "--strip-components=1", "-C", installed], {})
  const { dependencies, peerDependencies } = JSON.parse(await readFile(join(installed, "package.json"), "utf8"))
  for (const dependency of Object.keys({ ...dependencies, ...peerDependencies })) {
    if (dependency.startsWith("@mcp-sessions/")) continue
    const link = join(installed, "node_modules", dependency)
    await mkdir(dirname(link), { recursive: true })
    await symlink(join(root, "packages", name, "node_modules", dependency), link)
  }
}
await smoke([process.execPath], "smoke.mjs", directory)
