/** Removes what builds leave behind. */
import * as Fs from "node:fs"

for (
  const path of Fs.globSync([
    "packages/*/{dist,bundle}",
    "{packages/*,packages/transports/page,test,examples,bench}/*.tsbuildinfo",
    "{test,test/inPage,examples,bench}/dist"
  ])
) {
  Fs.rmSync(path, { recursive: true, force: true })
}
