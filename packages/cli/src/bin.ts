#!/usr/bin/env node
import process from "node:process"
import { runHeld } from "./internal/socket/findHolder.ts"
import { version } from "./Version.ts"

const words = process.argv.slice(2)

// Answered without loading the rest of the program.
if (words.length === 1 && words[0] === "--version") {
  process.stdout.write(`${version}\n`)
} else {
  const status = await runHeld(words)
  if (status === undefined) {
    const [{ run }, { runMain }] = await Promise.all([import("./Cli.ts"), import("./internal/runMain.ts")])
    runMain(run(words))
  } else {
    process.exit(status)
  }
}
