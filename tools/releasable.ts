/** Fails unless the packages can be published: provenance needs the real repository. */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import process from "node:process"

const manifest: {
  readonly repository: { readonly url: string }
  readonly homepage: string
  readonly bugs: { readonly url: string }
} = JSON.parse(readFileSync(join(import.meta.dirname, "../package.json"), "utf8"))
const places = { repository: manifest.repository.url, homepage: manifest.homepage, bugs: manifest.bugs.url }

for (const [key, url] of Object.entries(places)) {
  if (!url.includes("/OWNER/")) continue
  console.error(`package.json: ${key} has the placeholder OWNER in place of the owner of the repository`)
  process.exitCode = 1
}
