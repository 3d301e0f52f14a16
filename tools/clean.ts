/** Removes what builds leave behind. */
import * as Fs from "node:fs"

for (
  const path of Fs.globSync([
    "packages/*/{dist,bundle}",
    "{packages/*,test,examples,bench}/*.tsbuildinfo",
    "{test,examples,bench}/dist"
  ])
) {
  Fs.rmSync(path, { recursive: true, force: true })
}
