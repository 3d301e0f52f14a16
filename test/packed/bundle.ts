/**
 * Bundles a program with Rolldown into one minified file.
 */
import { join } from "node:path"
import { build } from "rolldown"

/** Writes the bundle beside the program. Gives the modules whose code is in it. */
export const bundle = async (
  ...[directory, input, file]: readonly [directory: string, input: string, file: string]
): Promise<ReadonlyArray<string>> => {
  const { output: [{ modules }] } = await build({
    cwd: directory,
    input,
    platform: "node",
    output: { file: join(directory, file), format: "esm", minify: true, codeSplitting: false }
  })
  return Object.entries(modules).flatMap(([module, { renderedLength }]) => renderedLength > 0 ? [module] : [])
}
