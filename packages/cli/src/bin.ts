#!/usr/bin/env node
import process from "node:process"
import { unsupportedNode } from "./internal/nodeVersion.ts"
import { version } from "./Version.ts"

// Answered without loading the rest of the program.
const words = process.argv.slice(2)
const problem = unsupportedNode(process.versions.node)
if (problem !== undefined) {
  process.stderr.write(`${problem}\n`)
  process.exitCode = 1
} else if (words.length === 1 && words[0] === "--version") process.stdout.write(`${version}\n`)
else if (words[0] === "--complete") await (await import("./internal/completeWords.ts")).completeWords(words.slice(1))
else await (await import("./internal/main.ts")).main(words)
