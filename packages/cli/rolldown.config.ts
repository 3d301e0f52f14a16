import { defineConfig } from "rolldown"

/** Bundles into several modules, so that a command loads only the code it uses. */
export default defineConfig({
  input: "src/bin.ts",
  platform: "node",
  // The `main` of jsonc-parser is a UMD file with `require` calls that bundlers cannot follow.
  resolve: { mainFields: ["module", "main"] },
  output: { dir: "bundle", minify: true, cleanDir: true }
})
