/**
 * The variables that a child process inherits: the decision table over names, systems and keys of the definition.
 */
import { assert, describe, it } from "@effect/vitest"
import { ServerConfig } from "@mcp-sessions/core"
import { Effect } from "effect"
import { childEnvironment } from "../../packages/transports/src/internal/childEnvironment.ts"
import { redactorOf } from "../../packages/transports/src/internal/secrets.ts"

const decode = (keys: Partial<ServerConfig.StdioServerInput>) =>
  Effect.filterOrFail(
    ServerConfig.decode({ command: "server", ...keys }),
    (config) => config.transport === "stdio",
    () => "not a stdio server"
  )

const environmentOf = (
  env: Readonly<Record<string, string>>,
  keys: Partial<ServerConfig.StdioServerInput> = {},
  platform = "linux"
) => Effect.map(decode(keys), (definition) => childEnvironment({ definition, surroundings: { env, platform } }))

const credentials = "http://user:s3cret-pass@proxy:3128"

describe("the environment of a child", () => {
  const values: ReadonlyArray<readonly [name: string, value: string, isInherited: boolean]> = [
    ["HOME", "/home/user", true],
    ["PATH", "/bin", true],
    ["NODE_EXTRA_CA_CERTS", "/etc/ca.pem", true],
    ["SSL_CERT_FILE", "/etc/ca.pem", true],
    ["SSL_CERT_DIR", "/etc/certs", true],
    ["REQUESTS_CA_BUNDLE", "/etc/ca.pem", true],
    ["NODE_USE_ENV_PROXY", "1", true],
    ["HTTP_PROXY", "http://proxy:3128", true],
    ["https_proxy", credentials, true],
    ["ALL_PROXY", "socks5://proxy", true],
    ["no_proxy", "localhost", true],
    ["Http_Proxy", "http://proxy:3128", false],
    ["TMPDIR", "/tmp", true],
    ["LANG", "C", true],
    ["LC_ALL", "C", true],
    ["LC", "C", false],
    ["TZ", "UTC", true],
    ["XDG_CACHE_HOME", "/home/user/.cache", true],
    ["npm_config_registry", "https://registry.example.com/", true],
    ["npm_config_registry", "https://user:s3cret@registry.example.com/", false],
    ["npm_config_https_proxy", credentials, true],
    ["npm_config_proxy", credentials, true],
    ["NPM_CONFIG_CACHE", "/cache", true],
    ["npm_config_cafile", "/etc/ca.pem", true],
    ["npm_config__auth", "x", false],
    ["npm_config__authToken", "x", false],
    ["NPM_CONFIG__PASSWORD", "x", false],
    ["npm_config_otp", "1", false],
    ["npm_config_key", "x", false],
    ["npm_config_cert", "x", false],
    ["npm_config_//registry.example.com/:_authToken", "x", false],
    ["npm_config_//registry.example.com/:username", "x", false],
    ["npm_config_node_options", "--require x", false],
    ["npm_config_script-shell", "/bin/x", false],
    ["npm_config_package", "x", false],
    ["npm_config_call", "x", false],
    ["npm_config_", "x", false],
    ["NODE_OPTIONS", "x", false],
    ["LD_PRELOAD", "x", false],
    ["AWS_SECRET_ACCESS_KEY", "x", false],
    ["APPDATA", "x", false],
    ["TERM", "() { :; }", false]
  ]
  for (const [name, value, isInherited] of values) {
    it.effect(`${isInherited ? "inherits" : "does not inherit"} ${name}=${value}`, () =>
      Effect.map(
        environmentOf({ [name]: value }),
        (environment) => assert.deepStrictEqual(environment, isInherited ? { [name]: value } : {})
      ))
  }

  const surroundings = {
    AWS_REGION: "eu",
    AWS_SECRET_ACCESS_KEY: "s",
    HOME: "/home/user",
    LD_PRELOAD: "x",
    NODE_OPTIONS: "--x",
    npm_config__auth: "s",
    PATH: "/bin",
    SHELLED: "() { :; }"
  }
  const cases: ReadonlyArray<
    readonly [title: string, keys: Partial<ServerConfig.StdioServerInput>, expected: ReadonlyArray<string>]
  > = [
    ["the short list without inheritEnv", {}, ["HOME", "PATH"]],
    ["a variable by its full name", { inheritEnv: ["AWS_REGION"] }, ["AWS_REGION", "HOME", "PATH"]],
    ["variables by their beginning", { inheritEnv: ["AWS_*"] }, [
      "AWS_REGION",
      "AWS_SECRET_ACCESS_KEY",
      "HOME",
      "PATH"
    ]],
    ["names in the case in which they are written", { inheritEnv: ["aws_region"] }, ["HOME", "PATH"]],
    ["credentials of npm by name", { inheritEnv: ["npm_config__auth"] }, ["HOME", "PATH", "npm_config__auth"]],
    ["all variables except unsafe ones and functions by *", { inheritEnv: ["*"] }, [
      "AWS_REGION",
      "AWS_SECRET_ACCESS_KEY",
      "HOME",
      "PATH",
      "npm_config__auth"
    ]],
    ["an unsafe variable by its full name alone", { inheritEnv: ["L*", "NODE_OPTIONS"], allowUnsafeEnv: true }, [
      "HOME",
      "NODE_OPTIONS",
      "PATH"
    ]],
    ["PATH alone with inheritEnv: false", { inheritEnv: false }, ["PATH"]],
    ["PATH and env with inheritEnv: false", { inheritEnv: false, env: { OWN: "1" } }, ["OWN", "PATH"]]
  ]
  for (const [title, keys, expected] of cases) {
    it.effect(`has ${title}`, () =>
      Effect.map(
        environmentOf(surroundings, keys),
        (environment) => assert.deepStrictEqual(Object.keys(environment).toSorted(), expected)
      ))
  }

  it.effect("prefers the env of the definition to an inherited variable", () =>
    Effect.gen(function*() {
      const own = { env: { PATH: "/own", HTTPS_PROXY: "" } }
      assert.deepStrictEqual(
        yield* environmentOf({ PATH: "/bin", HTTPS_PROXY: credentials, HOME: "/home/user" }, own),
        { HOME: "/home/user", PATH: "/own", HTTPS_PROXY: "" }
      )
      assert.deepStrictEqual(yield* environmentOf({ PATH: "/bin" }, { ...own, inheritEnv: false }), own.env)
    }))

  it.effect("removes each variable that the definition sets to null, also indispensable and unsafe ones", () =>
    Effect.gen(function*() {
      const own = { env: { PATH: null, HTTPS_PROXY: null, NODE_OPTIONS: null, UNSET: null, OWN: "1" } }
      const inherited = { PATH: "/bin", HTTPS_PROXY: credentials, HOME: "/home/user", AWS_REGION: "eu" }
      assert.deepStrictEqual(yield* environmentOf(inherited, own), { HOME: "/home/user", OWN: "1" })
      assert.deepStrictEqual(yield* environmentOf(inherited, { ...own, inheritEnv: false }), { OWN: "1" })
      const named = { inheritEnv: ["AWS_*"], env: { AWS_REGION: null } }
      assert.notProperty(yield* environmentOf(inherited, named), "AWS_REGION")
      assert.deepStrictEqual(yield* environmentOf({ Path: "C:\\bin" }, { env: { PATH: null } }, "win32"), {})
    }))

  it.effect("ignores the case of names on Windows, and knows what Windows needs", () =>
    Effect.gen(function*() {
      const env = {
        Path: "C:\\bin",
        SystemRoot: "C:\\Windows",
        AppData: "x",
        PathExt: ".EXE",
        "ProgramFiles(x86)": "y",
        Aws_Region: "eu",
        HOME: "x"
      }
      const inheritEnv = ["AWS_*"]
      const { HOME: _, ...inherited } = env
      assert.deepStrictEqual(yield* environmentOf(env, { inheritEnv }, "win32"), inherited)
      const { AppData: __, Aws_Region: ___, "ProgramFiles(x86)": ____, ...indispensable } = inherited
      assert.deepStrictEqual(yield* environmentOf(env, { inheritEnv: false }, "win32"), indispensable)
      // Windows would take either of two spellings.
      const own = { PATH: "D:\\bin" }
      assert.deepStrictEqual(yield* environmentOf({ Path: "C:\\bin" }, { env: own }, "win32"), own)
    }))
})

describe("the secrets of a child", () => {
  it.effect("include variables that inheritEnv names and the credentials of a proxy", () =>
    Effect.gen(function*() {
      const set = {
        MCP_SESSIONS_TEST_TOKEN: "k9-inherited-Z3",
        MCP_SESSIONS_TEST_OTHER: "k9-other-Z3",
        HTTPS_PROXY: "http://user:k9-proxy-Z3@proxy:3128"
      }
      yield* Effect.acquireRelease(
        Effect.sync(() => {
          const before = process.env.HTTPS_PROXY
          Object.assign(process.env, set)
          return before
        }),
        (before) =>
          Effect.sync(() => {
            for (const name of Object.keys(set)) delete process.env[name]
            if (before !== undefined) process.env.HTTPS_PROXY = before
          })
      )
      const text = Object.values(set).join(" ")
      const named = redactorOf(yield* decode({ inheritEnv: ["MCP_SESSIONS_TEST_T*"] }))
      assert.strictEqual(named(text), "<redacted> k9-other-Z3 http://user:<redacted>@proxy:3128")
      const bare = redactorOf(yield* decode({ inheritEnv: false }))
      assert.strictEqual(bare(text), text)
    }).pipe(Effect.scoped))
})
