import { join } from "node:path"
import { defineConfig } from "vitest/config"
import { doctest } from "./tools/doctest/plugin.ts"
import { Sequencer } from "./tools/sequencer.ts"

export default defineConfig({
  plugins: [
    doctest({
      patterns: ["packages/*/src/**/*.ts", "{.,packages/*}/README.md", "docs/**/*.md"],
      resolveFrom: "test/Docs.test.ts"
    })
  ],
  test: {
    include: ["test/**/*.test.ts"],
    env: {
      // Most of the time of a test is the start of its processes.
      NODE_COMPILE_CACHE: join(import.meta.dirname, "node_modules/.cache/node")
    },
    globalSetup: ["./tools/programs.ts", "./tools/publishedCli.ts", "./tools/postgres.ts"],
    // Files share the modules that a worker has loaded, and run in it one after another.
    isolate: false,
    sequence: { sequencer: Sequencer },
    // Files and tests that run beside each other start processes of their own. One worker more than the two processors of CI, as a test
    // that waits for a process or a time limit leaves its processor idle.
    maxWorkers: 3,
    maxConcurrency: 3,
    // Far more than a test takes on a busy machine.
    testTimeout: 180_000,
    hookTimeout: 180_000
  }
})
