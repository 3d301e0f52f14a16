import { assert, describe, it } from "@effect/vitest"
import { ConfigFile, Host } from "@mcp-sessions/core"
import { Duration, Effect, Redacted, Result } from "effect"
import { loadFrom, type Machine, memoryHost } from "../fixtures/memoryHost.ts"

/** A project that the user trusts. */
const project = (file: string, content: unknown, more: Partial<Machine> = {}): Machine => ({
  files: { [`/work/${file}`]: content },
  trusted: [`/work/${file}`],
  ...more
})

const serverOf = (configuration: ConfigFile.Configuration, target: string) =>
  Result.getOrThrow(ConfigFile.find({ configuration, target }))

const configOf = (configuration: ConfigFile.Configuration, target: string) =>
  Result.getOrThrow(serverOf(configuration, target).definition)

const problemsOf = (configuration: ConfigFile.Configuration) =>
  configuration.problems.flatMap(({ error, server }) =>
    error.problems.map(({ _tag, path, position }) =>
      `${server ?? "-"} ${_tag} ${path.join(".")} ${position?.line}:${position?.column}`
    )
  )

const env = (config: object) =>
  Object.fromEntries(
    Object.entries("env" in config ? config.env as Record<string, Redacted.Redacted<string> | null> : {})
      .map(([name, value]) => [name, value === null ? null : Redacted.value(value)])
  )

describe("ConfigFile.load", () => {
  it.effect("keeps the other servers of a file usable when one entry is bad", () =>
    Effect.gen(function*() {
      const configuration = yield* loadFrom(project(
        "mcp-sessions.json",
        `{ "servers": {
  "good": { "command": "x" },
  "typo": { "comand": "x" },
  "unset": { "command": "x", "args": ["\${NOPE}", "\${ALSO_NOT}"] },
  "twice": { "command": "x", "command": "y" }
} }`
      ))
      assert.deepStrictEqual(configuration.servers.map(({ name }) => name), ["good", "typo", "unset", "twice"])
      assert.strictEqual(configOf(configuration, "good").transport, "stdio")
      assert.deepStrictEqual(problemsOf(configuration), [
        "typo MissingTransport servers.typo 3:3",
        "typo UnknownKey servers.typo.comand 3:13",
        "unset MissingVariable servers.unset.args.0 4:39",
        "unset MissingVariable servers.unset.args.1 4:50",
        "twice DuplicateKey servers.twice.command 5:30"
      ])
    }))

  it.effect("lists a file with a syntax error as a problem, and fails with it if the file was named", () =>
    Effect.gen(function*() {
      const machine = project(".mcp.json", "{ \"mcpServers\": nope }")
      const configuration = yield* loadFrom(machine)
      assert.deepStrictEqual(problemsOf(configuration), ["- InvalidSyntax  1:17"])
      const error = yield* Effect.flip(loadFrom(machine, { files: [".mcp.json"] }))
      assert.include(error.message, ".mcp.json:1:17: syntax error; expected a value")
      const missing = yield* Effect.flip(loadFrom(machine, { files: ["none.json"] }))
      assert.include(missing.message, "no such file: /work/none.json")
    }))

  it.effect("replaces each form of a variable once, and leaves values and escaped variables as they are", () =>
    Effect.gen(function*() {
      const configuration = yield* loadFrom(project(".vscode/mcp.json", {
        inputs: [{ type: "promptString", id: "api-key", description: "Key", password: true }],
        servers: {
          s: {
            command: "${workspaceFolder}/run",
            args: ["${userHome}"],
            env: {
              PLAIN: "${A}",
              PREFIXED: "x${env:A}y",
              OPENCODE: "{env:A}",
              DEFAULT: "${NONE:-d}",
              EMPTY: "${EMPTY:-d}",
              INPUT: "${input:api-key}",
              NESTED: "${B}",
              ESCAPED: "$${A} and $A",
              NUMBER: 8080,
              FLAG: true
            }
          }
        }
      }, { environment: { A: "va", B: "${A}", EMPTY: "", MCP_SESSIONS_INPUT_API_KEY: "k" } }))
      assert.deepStrictEqual(problemsOf(configuration), [])
      const config = configOf(configuration, "s")
      assert.deepInclude(config, { command: "/work/run", args: ["/home/me"] })
      assert.deepStrictEqual(env(config), {
        PLAIN: "va",
        PREFIXED: "xvay",
        OPENCODE: "va",
        DEFAULT: "d",
        EMPTY: "d",
        INPUT: "k",
        NESTED: "${A}",
        ESCAPED: "${A} and $A",
        NUMBER: "8080",
        FLAG: "true"
      })
    }))

  it.effect("asks for each input once, and only for servers that are not disabled", () =>
    Effect.gen(function*() {
      const asked: Array<unknown> = []
      const machine = project(".vscode/mcp.json", {
        inputs: [{ id: "a", description: "The key", password: true }],
        servers: {
          one: { url: "https://h/${input:a}/${input:b}" },
          two: { url: "https://h/", headers: { k: "${input:a}" } },
          off: { url: "https://h/${input:c}", disabled: true }
        }
      })
      const configuration = yield* loadFrom(machine, {
        input: (request) => {
          asked.push(request)
          return Effect.succeed(request.id === "a" ? Redacted.make("v") : undefined)
        }
      })
      assert.deepStrictEqual(asked, [
        {
          id: "a",
          description: "The key",
          isPassword: true,
          default: undefined,
          options: undefined,
          source: ".vscode/mcp.json",
          variable: "MCP_SESSIONS_INPUT_A"
        },
        {
          id: "b",
          description: undefined,
          isPassword: true,
          default: undefined,
          options: undefined,
          source: ".vscode/mcp.json",
          variable: "MCP_SESSIONS_INPUT_B"
        }
      ])
      assert.deepStrictEqual(configuration.problems.map(({ error }) => error.message.split(": ").at(-1)), [
        "the input \"b\" has no value; set the variable MCP_SESSIONS_INPUT_B"
      ])
      assert.isTrue(Result.isFailure(serverOf(configuration, "off").definition))
    }))

  it.effect("reads an env file below the variables of the entry, without replacing anything in it", () =>
    Effect.gen(function*() {
      const configuration = yield* loadFrom({
        files: {
          "/work/.cursor/mcp.json": {
            mcpServers: { s: { command: "x", envFile: "${workspaceFolder}/.env", env: { B: "own", GONE: null } } }
          },
          "/work/.env": "A=${X}\nB=file\nGONE=1\n"
        },
        trusted: ["/work/.cursor/mcp.json"]
      })
      assert.deepStrictEqual(env(configOf(configuration, "s")), { A: "${X}", B: "own", GONE: null })
      const missing = yield* loadFrom(
        project(".cursor/mcp.json", { mcpServers: { s: { command: "x", envFile: ".env" } } })
      )
      assert.include(missing.problems[0]?.error.message, "no such file: /work/.env")
    }))
})

describe("a file with very many servers", () => {
  const named = (count: number, entry: (index: number) => unknown) =>
    Object.fromEntries(Array.from({ length: count }, (_, index) => [`s${index}`, entry(index)]))

  it.effect("gives every entry its problem, its warning and their positions, in time that is linear in the file", () =>
    Effect.gen(function*() {
      const count = 4000
      const content = JSON.stringify(
        { mcpServers: named(count, () => ({ url: "${NONE}", disabledTools: ["t"] })) },
        undefined,
        1
      )
      const { problems, warnings } = yield* loadFrom({ files: { "/work/.mcp.json": content } }, { trust: "all" })
      assert.lengthOf(problems, count)
      assert.lengthOf(warnings, count)
      // An entry has six lines, after the first two of the file.
      const last = problems.at(-1)?.error.problems[0]
      assert.deepInclude(last, { _tag: "MissingVariable", server: `s${count - 1}` })
      assert.deepStrictEqual(last?.position, { line: 2 + (count - 1) * 6 + 2, column: 4 })
      assert.deepStrictEqual(warnings.at(-1)?.position, { line: 2 + (count - 1) * 6 + 3, column: 4 })
    }))

  it.effect("takes thousands of headers of one entry from their variables, in time that is linear in them", () =>
    Effect.gen(function*() {
      const count = 8000
      const headers = Array.from({ length: count }, (_, index) => `h${index} = "V${index}"`).join("\n")
      const content = `[mcp_servers.s]\nurl = "https://h/"\n[mcp_servers.s.env_http_headers]\n${headers}\n`
      const { problems } = yield* loadFrom({ files: { "/home/me/.codex/config.toml": content } })
      const found = problems.flatMap(({ error }) => error.problems)
      assert.lengthOf(found, count)
      assert.deepInclude(found.at(-1), {
        path: ["mcp_servers", "s", "env_http_headers", `h${count - 1}`],
        position: { line: 3 + count, column: 1 }
      })
    }))

  it.effect("is a problem as a whole if it defines more than 10,000", () =>
    Effect.gen(function*() {
      const entry = () => ({ url: "https://h/" })
      const configuration = yield* loadFrom({
        files: {
          "/work/.mcp.json": { mcpServers: named(10_001, entry) },
          "/work/mcp-sessions.json": { servers: { good: entry() } }
        }
      })
      assert.deepStrictEqual(configuration.servers.map(({ name }) => name), ["good"])
      assert.deepStrictEqual(configuration.problems.map(({ error }) => error.message), [
        ".mcp.json:1:15: $.mcpServers: \"mcpServers\" must be an object of at most 10000 server definitions"
      ])
    }))

  it.effect("is not needed to reach a bound: a caller may name at most 256 files", () =>
    Effect.gen(function*() {
      const files = Array.from({ length: 257 }, (_, index) => `${index}.json`)
      const { problems: [problem] } = yield* Effect.flip(loadFrom({ files: {} }, { files }))
      assert.strictEqual(problem.description, "\"files\" must be a list of at most 256 files")
    }))
})

describe("discovery", () => {
  const files = {
    "/repo/.git/HEAD": "",
    "/repo/.mcp.json": { mcpServers: { shared: { url: "https://root/" }, far: { url: "https://far/" } } },
    "/repo/app/.mcp.json": { mcpServers: { shared: { url: "https://app/" } } },
    "/.mcp.json": { mcpServers: { outside: { url: "https://outside/" } } },
    "/home/me/.claude.json": {
      history: { shared: 1 },
      mcpServers: { shared: { url: "https://user/" }, mine: { url: "https://mine/" } },
      projects: { "/repo/app": { mcpServers: { shared: { url: "https://local/" } } } }
    }
  }

  it.effect("goes up to the root of version control, and lets nearer files of one program win", () =>
    Effect.gen(function*() {
      const configuration = yield* loadFrom({ files, directory: "/repo/app" })
      const found = configuration.servers.map(({ name, scope, source, target }) => [name, target, scope, source])
      assert.deepStrictEqual(found.toSorted(), [
        ["far", "https://far/", "project", "/repo/.mcp.json"],
        ["mine", "https://mine/", "user", "/home/me/.claude.json"],
        ["shared", "https://local/", "local", "/home/me/.claude.json"]
      ])
      assert.strictEqual(serverOf(configuration, "/repo/.mcp.json:shared").target, "https://root/")
      assert.strictEqual(serverOf(configuration, "claude-code:shared").target, "https://local/")
    }))

  it.effect("reads only the working directory without version control", () =>
    Effect.gen(function*() {
      const { ["/repo/.git/HEAD"]: _, ...rest } = files
      const configuration = yield* loadFrom({ files: rest, directory: "/repo/app" })
      assert.notInclude(configuration.servers.map(({ name }) => name), "far")
    }))

  it.effect("reads the files that MCP_SESSIONS_CONFIG lists instead, and those of the caller instead of them", () =>
    Effect.gen(function*() {
      const machine = {
        files: {
          "/work/.mcp.json": { mcpServers: { found: { url: "https://a/" } } },
          "/etc/a.json": { mcpServers: { listed: { command: "x" } } },
          "/work/b.json": { servers: { given: { command: "x" } } }
        },
        environment: { MCP_SESSIONS_CONFIG: "/etc/a.json:" }
      }
      const names = ({ servers }: ConfigFile.Configuration) => servers.map(({ name }) => name)
      const listed = yield* loadFrom(machine)
      assert.deepStrictEqual(names(listed), ["listed"])
      assert.isTrue(Result.isSuccess(serverOf(listed, "listed").definition))
      assert.deepStrictEqual(names(yield* loadFrom(machine, { files: ["b.json"] })), ["given"])
    }))

  it.effect("calls a name that two programs define differently ambiguous, and joins equal definitions", () =>
    Effect.gen(function*() {
      const configuration = yield* loadFrom({
        files: {
          "/work/.mcp.json": { mcpServers: { a: { url: "https://one/" }, same: { type: "http", url: "https://s/" } } },
          "/work/.cursor/mcp.json": { mcpServers: { a: { url: "https://two/" }, same: { url: "https://s/" } } }
        }
      })
      assert.deepStrictEqual(configuration.servers.map(({ name }) => name).toSorted(), [
        "claude-code:a",
        "cursor:a",
        "same"
      ])
      assert.strictEqual(serverOf(configuration, "cursor:same").name, "same")
      assert.strictEqual(serverOf(configuration, ".cursor/mcp.json:a").target, "https://two/")
      const error = Result.getOrThrow(Result.flip(ConfigFile.find({ configuration, target: "a" })))
      assert.strictEqual(
        error.message,
        "the name \"a\" means different servers; use \"claude-code:a\" or \"cursor:a\""
      )
      assert.deepStrictEqual(problemsOf(configuration), ["a AmbiguousServer  undefined:undefined"])
    }))

  it.effect("takes the longest timeout in place of a longer one of another program, with a warning", () =>
    Effect.gen(function*() {
      const content = "[mcp_servers.s]\ncommand = \"x\"\nstartup_timeout_sec = 20000\ntool_timeout_sec = 1e6\n"
      const configuration = yield* loadFrom({ files: { "/home/me/.codex/config.toml": content } })
      const { connectTimeout, requestTimeout } = configOf(configuration, "s")
      assert.deepStrictEqual([connectTimeout, requestTimeout].map(Duration.toMinutes), [10, 24 * 60])
      assert.deepStrictEqual(configuration.warnings.map(({ _tag }) => _tag), [
        "ImplausibleTimeout",
        "ImplausibleTimeout"
      ])
    }))

  it.effect("names the problems and warnings of an ambiguous server as the user can write it", () =>
    Effect.gen(function*() {
      const entry = (url: string) => ({ mcpServers: { a: { url, headers: { k: "${NONE}" }, disabledTools: ["t"] } } })
      const configuration = yield* loadFrom({
        files: { "/home/me/.claude.json": entry("https://one/"), "/home/me/.cursor/mcp.json": entry("https://two/") }
      })
      const names = ["claude-code:a", "cursor:a"]
      assert.deepStrictEqual(configuration.servers.map(({ name }) => name), names)
      const ofServers = configuration.problems.filter(({ file }) => file !== undefined)
      assert.deepStrictEqual(ofServers.map(({ error }) => error.problems[0].server), names)
      assert.deepStrictEqual(configuration.warnings.map(({ server }) => server), names)
    }))

  it.effect("lists all paths that can change the configuration, with those of files that do not exist", () =>
    Effect.gen(function*() {
      const { searched } = yield* loadFrom({
        files: {
          "/repo/.git/HEAD": "",
          "/repo/.cursor/mcp.json": { mcpServers: { s: { command: "x", envFile: "${workspaceFolder}/.env" } } }
        },
        directory: "/repo/app"
      })
      for (
        const path of [
          "/repo/.cursor/mcp.json",
          "/repo/.env",
          "/repo/app/.vscode/mcp.json",
          "/home/me/.codex/config.toml"
        ]
      ) assert.include(searched, path)
      assert.isFalse(searched.some((path) => path.startsWith("/.")))
    }))

  it.effect("refuses a name that nobody can see", () =>
    Effect.gen(function*() {
      const configuration = yield* loadFrom(project("mcp-sessions.json", {
        servers: { "": { command: "x" }, " \t": { command: "x" }, "a b": { command: "x" } }
      }))
      assert.deepStrictEqual(configuration.problems.map(({ error }) => error.problems[0].description), [
        "\"\" must be a name with visible characters",
        "\" \\t\" must be a name with visible characters"
      ])
      assert.isTrue(Result.isSuccess(serverOf(configuration, "a b").definition))
    }))

  it.effect("refuses a reference to a file in files of programs that have them, and leaves the text elsewhere", () =>
    Effect.gen(function*() {
      const headers = { Authorization: "Bearer {file:~/.token}" }
      const configuration = yield* loadFrom({
        files: {
          "/home/me/.config/opencode/opencode.json": { mcp: { a: { type: "remote", url: "https://h/", headers } } },
          "/home/me/.codeium/windsurf/mcp_config.json": {
            mcpServers: { b: { url: "https://h/", headers: { k: "${file:/token}" } } }
          },
          "/home/me/.claude.json": { mcpServers: { c: { url: "https://h/", headers } } }
        }
      })
      assert.deepStrictEqual(problemsOf(configuration), [
        "a InvalidValue mcp.a.headers.Authorization 1:60",
        "b InvalidValue mcpServers.b.headers.k 1:51"
      ])
      assert.include(configuration.problems[0]?.error.message, "references to files are not supported")
      assert.isTrue(Result.isSuccess(serverOf(configuration, "c").definition))
    }))

  it.effect("starts the programs of a file in a parent directory in that directory", () =>
    Effect.gen(function*() {
      const file = "/repo/.mcp.json"
      const configuration = yield* loadFrom({
        files: {
          "/repo/.git/HEAD": "",
          [file]: { mcpServers: { a: { command: "./x" }, b: { command: "x", cwd: "sub" } } }
        },
        directory: "/repo/app",
        trusted: [file]
      })
      assert.deepInclude(configOf(configuration, "a"), { cwd: "/repo" })
      assert.deepInclude(configOf(configuration, "b"), { cwd: "/repo/sub" })
    }))
})

describe("trust", () => {
  const content = {
    mcpServers: {
      program: { command: "x" },
      values: { url: "https://h/", headers: { k: "${TOKEN}" } },
      place: { url: "https://h/${userHome}" },
      proxied: { url: "https://h/", proxy: "http://evil:1" },
      certified: { url: "https://h/", tls: { ca: "x.pem" } },
      authorized: { url: "https://h/", auth: { issuer: "https://evil/" } },
      believed: { url: "https://h/", trusted: true },
      plain: { url: "https://h/", headers: { k: "v" }, timeout: 5000, disabled: false }
    }
  }
  const machine: Machine = { files: { "/work/.mcp.json": content }, environment: { TOKEN: "t" } }
  const untrusted = (configuration: ConfigFile.Configuration) =>
    configuration.problems.map(({ error, server }) => [server, error.problems.map(({ _tag }) => _tag)])

  it.effect("keeps programs and values of variables from a project file that is not trusted", () =>
    Effect.gen(function*() {
      const configuration = yield* loadFrom(machine)
      assert.deepStrictEqual(untrusted(configuration), [
        ["program", ["UntrustedFile"]],
        ["values", ["UntrustedFile"]],
        ["place", ["UntrustedFile"]],
        ["proxied", ["UntrustedFile"]],
        ["certified", ["UntrustedFile"]],
        ["authorized", ["UntrustedFile"]],
        ["believed", ["UntrustedFile"]]
      ])
      assert.deepStrictEqual(configuration.files.map(({ isTrusted }) => isTrusted), [false])
    }))

  it.effect("asks for no value of an entry before its file is trusted", () =>
    Effect.gen(function*() {
      const unset: Machine = { files: { "/work/.mcp.json": { mcpServers: { s: { command: "${NONE} ${input:i}" } } } } }
      assert.deepStrictEqual(untrusted(yield* loadFrom(unset)), [["s", ["UntrustedFile"]]])
      assert.deepStrictEqual(
        untrusted(yield* loadFrom(unset, { trust: "all" })),
        [["s", ["MissingVariable", "MissingInput"]]]
      )
    }))

  it.effect("uses the user's own server where a project file that is not trusted defines the same one", () =>
    Effect.gen(function*() {
      const definition = { mcpServers: { program: { command: "x" } } }
      const configuration = yield* loadFrom({
        files: { "/work/.mcp.json": definition, "/home/me/.cursor/mcp.json": definition }
      })
      assert.deepStrictEqual(configuration.servers.map(({ client, name }) => [name, client]), [["program", "cursor"]])
      assert.deepInclude(configOf(configuration, "program"), { command: "x" })
    }))

  it.effect("trusts files of the user, named files, and all files on request", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(untrusted(yield* loadFrom(machine, { trust: "all" })), [])
      assert.deepStrictEqual(untrusted(yield* loadFrom(machine, { files: [".mcp.json"] })), [])
      const ofUser = { ...machine, files: { "/home/me/.claude.json": content } }
      assert.deepStrictEqual(untrusted(yield* loadFrom(ofUser)), [])
    }))

  it.effect("asks once for each file, and remembers the recorded content only", () =>
    Effect.gen(function*() {
      const host = memoryHost(machine)
      const asked: Array<string> = []
      const configuration = yield* ConfigFile.load({
        trust: (file) => {
          asked.push(file.source)
          return Effect.as(Effect.orDie(host.trust(file)), true)
        }
      }).pipe(Effect.provideService(Host.Host, host))
      assert.deepStrictEqual(asked, [".mcp.json"])
      assert.deepStrictEqual(untrusted(configuration), [])
      const again = yield* ConfigFile.load().pipe(Effect.provideService(Host.Host, host))
      assert.deepStrictEqual(untrusted(again), [])
    }))

  it.effect("resolves a server once more with the answer of the user", () =>
    Effect.gen(function*() {
      const host = memoryHost(machine)
      const { servers } = yield* ConfigFile.load().pipe(Effect.provideService(Host.Host, host))
      const resolved = yield* ConfigFile.resolve({ servers, trust: "all" }).pipe(
        Effect.provideService(Host.Host, host)
      )
      assert.deepStrictEqual(resolved.map(({ definition }) => Result.isSuccess(definition)), resolved.map(() => true))
    }))
})
