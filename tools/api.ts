/**
 * Writes `docs/api.md`: an index of all public exports, with the first sentence of each doc comment.
 */
import process from "node:process"
import { type Module, publicModules, summaryOf } from "./api/publicApi.ts"
import { write } from "./markdown.ts"

/** The packages that programs import. */
export const packages = ["core", "transports"]

const section = ({ comment, exports, file, name }: Module): string =>
  [
    `### [${name}](../${file})`,
    summaryOf(comment),
    exports.map((one) => `- \`${one.name}\` (${one.kind}): ${summaryOf(one.comment)}`).join("\n")
  ].join("\n\n")

/** The page. */
export const page = (): string => {
  const modules = publicModules(packages)
  return [
    "# API",
    "All that programs can import, by package and module. `npx -y pnpm@12 api` writes this page from the doc comments; the name of a module " +
    "leads to its source, which has shapes, defaults, errors and examples.",
    ...packages.flatMap((name) => [
      `## @mcp-sessions/${name}`,
      ...modules.filter((module) => module.package === name).map(section)
    ])
  ].join("\n\n") + "\n"
}

if (process.argv[1] === import.meta.filename) write("docs/api.md", page())
