import { defineConfig } from "rolldown"

/** One directory of modules: what a command does not use, it does not load. */
export default defineConfig({
  input: "src/bin.ts",
  platform: "node",
  // jsonc-parser's `main` is a UMD file whose requires no bundler can see.
  resolve: { mainFields: ["module", "main"] },
  output: { dir: "bundle", minify: true, cleanDir: true }
})
