import { defineConfig } from "rolldown"

/** Puts the commands and flags into the bundle as data: a completion needs no command loaded. */
const commandTree = {
  name: "command-tree",
  load: {
    filter: { id: /[/\\\\]internal[/\\\\]commandTree\.ts$/ },
    handler: async (id: string) => {
      const { commandTree } = await import(id)
      return { code: `export const commandTree = ${JSON.stringify(commandTree)}`, moduleType: "js" as const }
    }
  }
}

/** Bundles into several modules, so that a command loads only the code it uses. */
export default defineConfig({
  input: "src/bin.ts",
  platform: "node",
  plugins: [commandTree],
  output: { dir: "bundle", minify: true, cleanDir: true }
})
