/**
 * Completes the manifests of published packages: each one names the repository and its own folder in it. The root `package.json` is the only
 * place that knows the repository.
 */
import { readFileSync } from "node:fs"
import { relative } from "node:path"

const directory = import.meta.dirname
const { bugs, homepage, repository } = JSON.parse(readFileSync(`${directory}/package.json`, "utf8"))

export const hooks = {
  beforePacking: (manifest, packageDirectory) => ({
    ...manifest,
    homepage,
    bugs,
    repository: { ...repository, directory: relative(directory, packageDirectory) }
  })
}
