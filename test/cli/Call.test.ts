/**
 * Options of `call` and `read`: plans, raw results, files, pictures, and questions of servers.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { isAlive, until } from "../fixtures/peer.ts"
import { inWorkplace, rich } from "./cli.ts"

describe.concurrent("call", () => {
  it.live("prints with --dry-run the request that it would send, and does not call the tool", () =>
    inWorkplace(({ run }, file, read) =>
      Effect.gen(function*() {
        const words = ["call", "echo", "message=hi", "n=9007199254740993", "--dry-run"]
        const { status, stdout } = yield* run([...words, ...rich(file)])
        assert.strictEqual(status, 0)
        assert.include(stdout, "9007199254740993")
        const { method, params } = JSON.parse(stdout)
        assert.deepStrictEqual([method, params.name, params.arguments.message], ["tools/call", "echo", "hi"])
        assert.deepStrictEqual(read("call"), [])
        const invalid = yield* run(["call", "echo", "mesage=hi", "--dry-run", ...rich(file)])
        assert.deepStrictEqual([invalid.status, invalid.stdout], [2, ""])
      })
    ))

  it.live("prints with --raw the result as one line of JSON", () =>
    inWorkplace(({ run }, file) =>
      Effect.gen(function*() {
        const { stdout } = yield* run(["call", "echo", "message=a\u202e", "--raw", ...rich(file)])
        assert.strictEqual(stdout, `{"content":[{"type":"text","text":"a\u202e"}]}\n`)
      })
    ))

  it.live("saves attachments with --save to new private files of the directory, whatever their names", () =>
    inWorkplace(({ directory, run }, file) =>
      Effect.gen(function*() {
        const into = join(directory, "out")
        mkdirSync(into)
        symlinkSync(join(directory, "elsewhere"), join(into, "passwd.txt"))
        const { status, stderr, stdout } = yield* run(["call", "files", "--save", "out", ...rich(file)])
        assert.strictEqual(status, 0, stderr)
        const saved = ["image.png", "audio.wav", "passwd-1.txt", "2J.hidden"].map((name) => join(into, name))
        assert.deepStrictEqual(stdout.trimEnd().split("\n").slice(0, 4), saved)
        assert.match(stdout, /\[image image\/png, \d+ bytes\]\n$/)
        for (const path of saved) assert.strictEqual(statSync(path).mode & 0o777, 0o600)
        assert.strictEqual(readFileSync(saved[2] ?? "", "utf8"), "root")
        assert.isFalse(existsSync(join(directory, "elsewhere")))
        const again = yield* run(["call", "picture", "--save", "out", "--json", ...rich(file)])
        assert.strictEqual(JSON.parse(again.stdout).content.length, 2)
        assert.deepStrictEqual(JSON.parse(again.stderr), { saved: [join(into, "image-1.png")] })
        assert.strictEqual(readdirSync(into).length, 6)
      })
    ))

  it.live("fails before the call if the directory of --save cannot be made", () =>
    inWorkplace(({ directory, run }, file, read) =>
      Effect.gen(function*() {
        writeFileSync(join(directory, "file"), "")
        const outcome = yield* run(["call", "picture", "--save", "file/below", ...rich(file)])
        assert.strictEqual(outcome.status, 2)
        assert.include(outcome.stderr, "--save: cannot make the directory file/below")
        assert.deepStrictEqual(read("process"), [])
      })
    ))

  it.live("fails after the call if a file cannot be saved, and prints what came before it", () =>
    inWorkplace(({ run }, file) =>
      Effect.gen(function*() {
        const outcome = yield* run(["call", "picture", "--save", "/proc", ...rich(file)])
        assert.deepStrictEqual([outcome.status, outcome.stdout], [1, "a picture\n"])
        assert.include(outcome.stderr, "error[SaveFailed]: cannot save /proc/image.png")
      })
    ))

  it.live("shows a picture only in a terminal that says it can", () =>
    inWorkplace(({ run }, file) =>
      Effect.gen(function*() {
        const words = ["call", "picture", ...rich(file)]
        const shown = (env: Record<string, string>, isTerminal = true) =>
          Effect.map(
            run(words, { env, isTerminal }),
            ({ stdout }) => stdout.replaceAll("\u001b", "ESC").replaceAll("\u0007", "BEL")
          )
        assert.match(
          yield* shown({ TERM: "xterm-kitty" }),
          /^a picture\nESC_Gf=100,a=T,q=2,m=0;[A-Za-z0-9+/=]+ESC\\\n$/
        )
        assert.match(
          yield* shown({ TERM_PROGRAM: "iTerm.app" }),
          /ESC\]1337;File=inline=1;[a-zA-Z=;0-9]+:[A-Za-z0-9+/=]+BEL\n$/
        )
        for (const plain of [yield* shown({ TERM: "xterm-256color" }), yield* shown({ TERM: "xterm-kitty" }, false)]) {
          assert.match(plain, /^a picture\n\[image image\/png, \d+ bytes\]\n$/)
        }
        assert.notInclude(yield* shown({ TERM: "xterm-kitty", TMUX: "/tmp/tmux" }), "ESC")
      })
    ))

  it.live("shows a bar for progress with a known total", () =>
    inWorkplace(({ run }, file) =>
      Effect.gen(function*() {
        const { stderr } = yield* run(["call", "steps", ...rich(file)], { typed: [] })
        assert.include(stderr, `node/steps … ${"█".repeat(10)}${"░".repeat(10)} 50% cutting`)
        assert.isTrue(stderr.endsWith("\r\u001b[K"))
      })
    ))
})

describe.concurrent("a question of a server", () => {
  const answerOf = (stdout: string) => JSON.parse(stdout)

  it.live("is answered field by field, with defaults, choices and validation", () =>
    inWorkplace(({ run }, file) =>
      Effect.gen(function*() {
        const typed = ["", "A", "Ada", "old", "36", "", "maybe", "y", "1, basil", "s3cret-key"]
        const { status, stderr, stdout } = yield* run(["call", "form", ...rich(file)], { typed })
        assert.strictEqual(status, 0, stderr)
        assert.deepStrictEqual(answerOf(stdout), {
          action: "accept",
          content: { name: "Ada", age: 36, colour: "g", agreed: true, toppings: ["a", "b"], api_key: "s3cret-key" }
        })
        for (
          const shown of [
            "node asks: Who are you?",
            "Your name (text of at least 2 characters): A\n  expected text of at least 2 characters",
            "age (a whole number from 1 to 150): old\n  expected a whole number from 1 to 150",
            "1. Red\n    2. Green",
            "[g]: ",
            "agreed (yes or no) [none]: maybe\n  expected yes or no",
            "Never shown"
          ]
        ) assert.include(stderr, shown)
        assert.notInclude(stderr, "s3cret-key")
      })
    ))

  it.live("can be declined, or cancelled by the end of the input", () =>
    inWorkplace(({ run }, file) =>
      Effect.gen(function*() {
        for (const [typed, action] of [[["d"], "decline"], [[], "cancel"], [["", "Ada"], "cancel"]] as const) {
          const { stdout } = yield* run(["call", "form", ...rich(file)], { typed })
          assert.deepStrictEqual(answerOf(stdout), { action })
        }
      })
    ))

  it.live("is declined with a note without a terminal, and with --no-input", () =>
    inWorkplace(({ run }, file) =>
      Effect.gen(function*() {
        const piped = yield* run(["call", "form", ...rich(file)])
        assert.deepStrictEqual(answerOf(piped.stdout), { action: "decline" })
        assert.strictEqual(piped.stderr, "node asked for input, which was declined: no terminal\n")
        const refused = yield* run(["call", "sample", "--no-input", ...rich(file)], { typed: ["never asked"] })
        assert.strictEqual(answerOf(refused.stdout).code, -1)
        assert.include(refused.stderr, "node asked for input, which was declined: --no-input\n")
      })
    ))

  it.live("to visit a page shows the address and its host, and opens nothing without consent", () =>
    inWorkplace(({ run }, file) =>
      Effect.gen(function*() {
        const declined = yield* run(["call", "page", ...rich(file)], { typed: [""] })
        assert.deepStrictEqual(answerOf(declined.stdout), { action: "decline" })
        assert.include(declined.stderr, "  https://example.com/consent?state=1\n  on example.com\n")
        const visited = yield* run(["call", "page", ...rich(file)], { typed: ["v"] })
        assert.deepStrictEqual(answerOf(visited.stdout), { action: "accept" })
        const words = ["call", "page", "--no-validate", "url=javascript:alert(1)", ...rich(file)]
        const script = yield* run(words, { typed: ["v"] })
        assert.deepStrictEqual(answerOf(script.stdout), { action: "decline" })
      })
    ))

  it.live("for a message of a language model shows the prompt, and takes the reply of the user", () =>
    inWorkplace(({ run }, file) =>
      Effect.gen(function*() {
        const { stderr, stdout } = yield* run(["call", "sample", ...rich(file)], { typed: ["", "five", "seven", ""] })
        assert.deepInclude(answerOf(stdout), { role: "assistant", content: { type: "text", text: "five\nseven" } })
        assert.include(stderr, String.raw`user: Write a\u001b[2J haiku`)
        const declined = yield* run(["call", "sample", ...rich(file)], { typed: ["d"] })
        assert.strictEqual(answerOf(declined.stdout).code, -1)
      })
    ))
})

describe.concurrent("the time limit", () => {
  it.live("of a call covers the closing of a server that does not end", () =>
    inWorkplace(({ run }, file, read) =>
      Effect.gen(function*() {
        const script = ["--", process.execPath, "-e", stubborn, file]
        const outcome = yield* run(["call", "hang", "--timeout", "5s", ...script])
        assert.strictEqual(outcome.status, 12, outcome.stderr)
        assert.include(outcome.stderr, "error[OutcomeUnknown]")
        // The command has ended before the last of its three steps.
        assert.notStrictEqual(read("process").filter(isAlive).length, 0)
        yield* until(() => read("process").filter(isAlive), (alive) => alive.length === 0)
      })
    ))
})

/** A server whose call never ends, and that ignores the end of its input and SIGTERM. */
const stubborn = `
const file = process.argv[1]
require("fs").appendFileSync(file, "process " + process.pid + "\\n")
process.on("SIGTERM", () => {})
setInterval(() => {}, 1000)
const send = (id, result) => process.stdout.write(JSON.stringify({ jsonrpc: "2.0", id, result }) + "\\n")
require("readline").createInterface(process.stdin).on("line", (line) => {
  const { id, method } = JSON.parse(line)
  if (method === "initialize") {
    send(id, { protocolVersion: "2025-06-18", capabilities: { tools: {} }, serverInfo: { name: "s", version: "1" } })
  } else if (method === "tools/list") send(id, { tools: [{ name: "hang", inputSchema: { type: "object" } }] })
})
`
