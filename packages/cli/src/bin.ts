#!/usr/bin/env node
import process from "node:process"
import { version } from "./Version.ts"

// Answered without loading the rest of the program.
const words = process.argv.slice(2)
if (words.length === 1 && words[0] === "--version") {
  process.stdout.write(`${version}
`)
} else if (words[0] === "--complete") await (await import("./internal/completeWords.ts")).completeWords(words.slice(1))
else await (await import("./internal/main.ts")).main(words)
