import { delimiter, join } from "node:path"
import { defineConfig } from "vitest/config"
import { doctest } from "./tools/doctest/plugin.ts"

export default defineConfig({
  plugins: [
    doctest({ patterns: ["packages/*/src/**/*.ts", "README.md", "docs/**/*.md"], resolveFrom: "test/Docs.test.ts" })
  ],
  test: {
    include: ["test/**/*.test.ts"],
    // Examples name servers as users do, by the commands that their packages install.
    env: { PATH: [join(import.meta.dirname, "test/node_modules/.bin"), process.env.PATH].join(delimiter) },
    // Tests that run beside each other start a process each.
    maxConcurrency: 3,
    testTimeout: 30_000,
    hookTimeout: 30_000
  }
})
