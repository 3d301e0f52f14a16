import { assert, describe, it } from "@effect/vitest"
import { completionScript, shells } from "@mcp-sessions/cli/CompletionScript"
import { Language, Parser } from "@vscode/tree-sitter-wasm"
import { Effect } from "effect"
import { execFileSync, spawnSync } from "node:child_process"
import { chmodSync, existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { fixture, makeLedger } from "../fixtures/peer.ts"
import { bin, workplace } from "./cli.ts"

const has = (shell: string): boolean => spawnSync(shell, ["--version"], { stdio: "ignore" }).status === 0

/** A place with two servers, one of which had its tools listed, and the program in its path. */
const setting = Effect.gen(function*() {
  const { file, read } = yield* makeLedger
  const place = yield* workplace
  const server = { command: process.execPath, args: [fixture("stdioServer.ts"), "v1", file] }
  place.write("mcp-sessions.json", {
    servers: { good: server, "my server": server, off: { ...server, disabled: true } }
  })
  const path = join(place.directory, "bin")
  mkdirSync(path)
  writeFileSync(join(path, "mcp-sessions"), `#!/bin/sh\nexec '${process.execPath}' '${bin}' "$@"\n`)
  chmodSync(join(path, "mcp-sessions"), 0o755)
  yield* place.run(["tools", "good"])
  const starts = read("process").length
  return {
    directory: place.directory,
    starts,
    read,
    env: { PATH: `${path}:${process.env.PATH}`, HOME: place.directory },
    complete: (...words: ReadonlyArray<string>) =>
      execFileSync(process.execPath, [bin, "--complete", ...words], {
        cwd: place.directory,
        env: { PATH: process.env.PATH, HOME: place.directory },
        encoding: "utf8"
      }).split("\n").filter((line) => line !== "")
  }
})

describe.concurrent("a completion", () => {
  it.live("knows commands, flags, servers, and the tools that were listed before, and starts nothing", () =>
    Effect.gen(function*() {
      const { complete, directory, read, starts } = yield* setting
      const values = (...words: ReadonlyArray<string>) => complete("fish", ...words).map((line) => line.split("\t")[0])
      assert.includeMembers(values(""), ["check", "tools", "call", "completions"])
      assert.deepStrictEqual(values("che"), ["check"])
      assert.deepStrictEqual(values("check", ""), ["good", "my server"])
      assert.deepStrictEqual(values("check", "--js"), ["--json"])
      assert.deepStrictEqual(values("call", "g"), ["good/"])
      assert.deepStrictEqual(values("call", "good/ec"), ["good/echo"])
      assert.deepStrictEqual(values("call", "my server/"), [])
      assert.deepStrictEqual(values("auth", "lo"), ["login", "logout"])
      assert.deepStrictEqual(values("completions", "--", "x"), [])
      assert.deepStrictEqual(values("--config", "no-such-file.json", "check", ""), [])
      assert.strictEqual(read("process").length, starts)
      const cache = join(directory, ".cache/mcp-sessions/tools")
      assert.strictEqual(statSync(cache).mode & 0o777, 0o700)
      for (const file of readdirSync(cache)) assert.strictEqual(statSync(join(cache, file)).mode & 0o777, 0o600)
      assert.isTrue(existsSync(cache))
    }).pipe(Effect.scoped))

  it.live.skipIf(!has("bash"))(
    "is loaded by bash, with names quoted and words split as bash does",
    () =>
      Effect.gen(function*() {
        const { directory, env } = yield* setting
        const replies = (line: string) =>
          execFileSync("bash", [
            "--norc",
            "-c",
            `eval "$(mcp-sessions completions bash)"
COMP_LINE=$1; COMP_POINT=\${#1}; _mcp_sessions; printf '%s\\n' "\${COMPREPLY[@]}"`,
            "bash",
            line
          ], {
            cwd: directory,
            env,
            encoding: "utf8"
          }).split("\n").filter((reply) => reply !== "")
        assert.deepStrictEqual(replies("mcp-sessions che"), ["check"])
        assert.deepStrictEqual(replies("mcp-sessions check "), ["good", "my\\ server"])
        assert.deepStrictEqual(replies("mcp-sessions call good/ec"), ["good/echo"])
        assert.deepStrictEqual(replies("mcp-sessions check 'my"), ["my\\ server"])
      }).pipe(Effect.scoped)
  )

  it.live.skipIf(!has("zsh"))("is loaded by zsh", () =>
    Effect.gen(function*() {
      const { directory, env } = yield* setting
      const script = `autoload -Uz compinit; compinit -D; eval "$(mcp-sessions completions zsh)"
compadd() { while [[ $1 != -- ]]; do shift; done; shift; print -rl -- "$@" }
words=(mcp-sessions check ''); CURRENT=3; _mcp_sessions`
      const output = execFileSync("zsh", ["-f", "-c", script], { cwd: directory, env, encoding: "utf8" })
      assert.deepStrictEqual(output.trim().split("\n"), ["good", "my server"])
    }).pipe(Effect.scoped))

  it.live.skipIf(!has("fish"))("is loaded by fish", () =>
    Effect.gen(function*() {
      const { directory, env } = yield* setting
      const script = "mcp-sessions completions fish | source; complete -C 'mcp-sessions check '"
      const output = execFileSync("fish", ["--no-config", "-c", script], { cwd: directory, env, encoding: "utf8" })
      assert.deepStrictEqual(output.trim().split("\n"), ["good", "my server"])
    }).pipe(Effect.scoped))

  it("has a script for each shell, with no placeholder left", () => {
    for (const shell of shells) {
      assert.include(completionScript(shell), `mcp-sessions --complete ${shell}`)
      assert.notMatch(completionScript(shell), /undefined|\$\{"/)
    }
  })

  // PowerShell itself is 70 MB. Its grammar shows what does not parse, though not what a command does.
  it.effect("are PowerShell for PowerShell, by its grammar", () =>
    Effect.gen(function*() {
      yield* Effect.promise(() => Parser.init())
      const grammar = fileURLToPath(import.meta.resolve("@vscode/tree-sitter-wasm/wasm/tree-sitter-powershell.wasm"))
      const language = yield* Effect.promise(() => Language.load(grammar))
      const parser = new Parser()
      parser.setLanguage(language)
      const isSound = (script: string) => parser.parse(script)?.rootNode.hasError === false
      const script = completionScript("powershell")
      assert.isTrue(isSound(script))
      for (const part of ["{", "(", "param(", "-eq '')"]) {
        assert.include(script, part)
        assert.isFalse(isSound(script.replace(part, "")), part)
      }
    }))
})
