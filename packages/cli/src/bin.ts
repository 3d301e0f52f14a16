#!/usr/bin/env node
import process from "node:process"
import { version } from "./Version.ts"

// Answered without loading the rest of the program.
if (process.argv.length === 3 && process.argv[2] === "--version") process.stdout.write(`${version}\n`)
else await (await import("./internal/main.ts")).main(process.argv.slice(2))
