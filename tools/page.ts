/**
 * Builds the page of `packages/transports/page` into the module that the package serves it from (`pnpm page`).
 */
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import process from "node:process"
import { rolldown } from "rolldown"

const source = join(import.meta.dirname, "../packages/transports/page")
const target = join(import.meta.dirname, "../packages/transports/src/internal/dashboard/assets.ts")

const read = (file: string): string => readFileSync(join(source, file), "utf8")

/** Without comments, indentation and line breaks. */
const minified = (text: string): string => text.replaceAll(/\/\*[\s\S]*?\*\//g, "").replaceAll(/\s*\n\s*/g, "").trim()

const scriptOf = async (): Promise<string> => {
  const bundle = await rolldown({ input: join(source, "main.ts"), platform: "browser" })
  const { output } = await bundle.generate({ format: "esm", minify: true })
  await bundle.close()
  if (output.length !== 1) throw new Error("the script of the page is not one file")
  return output[0].code
}

/** The parts of the page, by their names in the module. */
export const parts = async (): Promise<Readonly<Record<"html" | "script" | "style", string>>> => ({
  html: read("index.html").replaceAll(/^\s+/gm, ""),
  script: await scriptOf(),
  style: minified(read("app.css"))
})

const assets = async (): Promise<string> =>
  [
    "/**",
    " * Assets: the page, its script and its style, as `pnpm page` builds them from `packages/transports/page`. Do not edit.",
    " */",
    ...Object.entries(await parts()).map(([name, text]) => `\nexport const ${name} =\n  ${JSON.stringify(text)}`)
  ].join("\n") + "\n"

if (process.argv[1] === import.meta.filename) writeFileSync(target, await assets())
