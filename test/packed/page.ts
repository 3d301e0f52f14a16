/**
 * Writes `docs/packages.md`.
 */
import { readdir, readFile, stat } from "node:fs/promises"
import { join } from "node:path"
import { gzipSync } from "node:zlib"
import { checks } from "./checks.ts"
import { names, output, type Project, tool } from "./project.ts"

const kilobytes = (bytes: number): string => `${Math.round(bytes / 1000).toLocaleString("en-US")} kB`

/** The size of all files below a directory. */
const sizeOf = async (directory: string): Promise<number> => {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile())
  const sizes = await Promise.all(files.map(async (file) => (await stat(join(file.parentPath, file.name))).size))
  return sizes.reduce((sum, size) => sum + size, 0)
}

const versionOf = async (...path: ReadonlyArray<string>): Promise<string> =>
  JSON.parse(await readFile(tool(...path, "package.json"), "utf8")).version

/** Returns the page for packages that passed all checks. */
export const page = async ({ directory, tarballs }: Project): Promise<string> => {
  const packages = await Promise.all(names.map(async (name, index) => {
    const { size } = await stat(tarballs[index] ?? "")
    const installed = await sizeOf(join(directory, "node_modules/@mcp-sessions", name))
    return `| \`@mcp-sessions/${name}\` | ${kilobytes(size)} | ${kilobytes(installed)} |`
  }))
  const bundle = await readFile(join(directory, "bundle.esbuild.mjs"))
  const everything = await sizeOf(join(directory, "node_modules"))
  const node = [await versionOf("node-22"), process.versions.node, await versionOf("node-26")].join(", ")
  const compilers = await Promise.all(["5.7", "5.8", "5.9", "6", "7"].map((name) => versionOf(`typescript-${name}`)))
  return `# Packages

\`npx -y pnpm@12 packed\` packs the packages, installs them with npm into an empty project, checks them there and writes this page.

## Sizes

| package | packed | installed |
| --- | ---: | ---: |
${packages.join("\n")}

Installed files are code, declarations, sources and source maps. A project with the three packages, \`effect\` and the types of Node has
${
    kilobytes(everything)
  } in \`node_modules\`. A program that uses every transport (\`test/packed/programs/smoke.mjs\`) is ${
    kilobytes(bundle.length)
  } in one minified file, ${kilobytes(gzipSync(bundle).length)} compressed.

## Checks

${checks.map(({ title }) => `- ${title}`).join("\n")}

Each program under a runtime calls a tool over stdio, Streamable HTTP and WebSocket, reads a response with progress from an event stream, meets
two servers that are down and one that the address policy forbids, and closes. The servers keep a ledger: each call ran once, and each session
ended.

Node ${node}; Bun ${await versionOf("bun")}; Deno ${await versionOf("deno")}; TypeScript ${
    compilers.join(", ")
  }; esbuild ${await versionOf(
    "esbuild"
  )}; npm ${(await output(["npm", "--version"], {})).trim()}.
`
}
