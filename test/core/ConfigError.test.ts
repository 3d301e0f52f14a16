/**
 * Messages of ConfigError: each problem states its place, the expected value and the valid names.
 */
import { assert, describe, it } from "@effect/vitest"
import { ConfigError } from "@mcp-sessions/core"
import { Redacted } from "effect"

const at = (...path: ReadonlyArray<string | number>) => ({
  source: "mcp.json",
  server: "s",
  path: ["servers", "s", ...path]
})
const validNames = ["a", "b", "c"]
const expected = "a list of strings"

const table: ReadonlyArray<readonly [problem: ConfigError.ConfigProblem, message: string]> = [
  [
    new ConfigError.MissingTransport({ ...at(), validNames }),
    "mcp.json: server \"s\" at $.servers.s: the transport is missing; set \"command\", \"url\" or \"transport\" (a, b or c)"
  ],
  [
    new ConfigError.UnsupportedTransport({ ...at("type"), transport: "x", validNames }),
    "mcp.json: server \"s\" at $.servers.s.type: the transport \"x\" is not supported; use a, b or c"
  ],
  [
    new ConfigError.MissingKey({ ...at(), key: "url", expected }),
    "mcp.json: server \"s\" at $.servers.s: \"url\" is missing; it must be a list of strings"
  ],
  [
    new ConfigError.UnknownKey({ ...at("argz"), key: "argz", validNames }),
    "mcp.json: server \"s\" at $.servers.s.argz: the key \"argz\" is unknown; the valid keys are a, b and c"
  ],
  [
    new ConfigError.MisplacedKey({ ...at("args"), key: "args", transport: "sse", appliesTo: ["stdio"] }),
    "mcp.json: server \"s\" at $.servers.s.args: \"args\" applies to stdio servers, not to sse servers"
  ],
  [
    new ConfigError.ConflictingKeys({ ...at(), keys: ["url", "baseUrl"] }),
    "mcp.json: server \"s\" at $.servers.s: \"url\" and \"baseUrl\" give the same setting; keep one of them"
  ],
  [
    new ConfigError.InvalidUrl({ ...at("url"), expected: "an http:// URL" }),
    "mcp.json: server \"s\" at $.servers.s.url: \"url\" must be an http:// URL"
  ],
  [
    new ConfigError.InvalidDuration({ ...at("timeout"), expected: "a duration from 1 ms to 24 hours" }),
    "mcp.json: server \"s\" at $.servers.s.timeout: \"timeout\" must be a duration from 1 ms to 24 hours, written as " +
    "milliseconds or as text such as \"20 seconds\""
  ],
  [
    new ConfigError.ReservedHeader({ ...at("headers", "Host"), header: "Host" }),
    "mcp.json: server \"s\" at $.servers.s.headers.Host: the transport sets the header \"Host\" itself; remove it"
  ],
  [
    new ConfigError.UnsafeVariable({ ...at("env", "LD_PRELOAD"), variable: "LD_PRELOAD" }),
    "mcp.json: server \"s\" at $.servers.s.env.LD_PRELOAD: the variable LD_PRELOAD can change which code the server runs; " +
    "set \"allowUnsafeEnv\": true to allow it"
  ],
  [
    new ConfigError.DisallowedCommand({ ...at("command"), command: "sh", args: Redacted.make(["--token=s3cret"]) }),
    "mcp.json: server \"s\" at $.servers.s.command: this application does not allow the command \"sh\""
  ],
  [
    new ConfigError.InvalidValue({ ...at("args", 1), expected }),
    "mcp.json: server \"s\" at $.servers.s.args[1]: \"args[1]\" must be a list of strings"
  ],
  [
    new ConfigError.UnknownServer({ server: "t", path: [], validNames }),
    "the server \"t\" is not configured; the valid names are a, b and c"
  ],
  [new ConfigError.DisabledServer({ server: "s", path: [] }), "the server \"s\" is disabled in its definition"],
  [
    new ConfigError.MissingVariable({ ...at("url"), variable: "HOST" }),
    "mcp.json: server \"s\" at $.servers.s.url: the variable HOST is not set; set it, or give a default with ${HOST:-default}"
  ],
  [
    new ConfigError.UnresolvedConfig({ ...at("url"), setting: "FILES_URL" }),
    "mcp.json: server \"s\" at $.servers.s.url: the setting FILES_URL is missing, or is not what its Config takes"
  ],
  [
    new ConfigError.MissingInput({ ...at("url"), id: "api-key", variable: "MCP_SESSIONS_INPUT_API_KEY" }),
    "mcp.json: server \"s\" at $.servers.s.url: the input \"api-key\" has no value; set the variable MCP_SESSIONS_INPUT_API_KEY"
  ],
  [
    new ConfigError.UntrustedFile({ ...at(), effect: "program" }),
    "mcp.json: server \"s\" at $.servers.s: mcp.json is a project file that is not trusted, and this entry starts a program; " +
    "read the file, then run \"mcp-sessions config trust\" or name the file explicitly"
  ],
  [
    new ConfigError.AmbiguousServer({ server: "s", path: [], candidates: ["cursor:s", "vscode:s"] }),
    "the name \"s\" means different servers; use \"cursor:s\" or \"vscode:s\""
  ],
  [
    new ConfigError.MissingDocument({ source: "mcp.json", path: [], fact: "no such file: /mcp.json" }),
    "mcp.json: the configuration cannot be read: no such file: /mcp.json"
  ],
  [
    new ConfigError.InvalidSyntax({
      source: "mcp.json",
      path: [],
      expected: "a comma",
      position: { line: 2, column: 14 }
    }),
    "mcp.json:2:14: syntax error; expected a comma"
  ],
  [
    new ConfigError.InvalidDocument({ source: "mcp.json", path: [], expected: "an object" }),
    "mcp.json: the document must be an object"
  ],
  [
    new ConfigError.DuplicateKey({
      source: "mcp.json",
      path: ["servers", "s"],
      position: { line: 3, column: 1 },
      first: { line: 2, column: 5 }
    }),
    "mcp.json:3:1: $.servers.s: \"s\" is given twice; the first is at line 2, column 5"
  ],
  [
    new ConfigError.ReservedKey({ source: "mcp.json", path: ["__proto__"], position: { line: 3, column: 1 } }),
    "mcp.json:3:1: $.__proto__: \"__proto__\" cannot be used as a name"
  ]
]

describe("ConfigError", () => {
  it("suggests the name that is probably meant, in the place of all names", () => {
    const server = new ConfigError.UnknownServer({ server: "fils", path: [], validNames: ["files", "mail"] })
    assert.strictEqual(server.message, "the server \"fils\" is not configured; did you mean \"files\"?")
    const key = new ConfigError.UnknownKey({ path: [], key: "comand", validNames: ["args", "command", "env"] })
    assert.strictEqual(key.message, "the key \"comand\" is unknown; did you mean \"command\"?")
  })

  it("covers every problem type in the table of this test", () => {
    const problems = ConfigError.ConfigProblem.members.map(({ fields }) => fields._tag.schema.literal)
    assert.deepStrictEqual(table.map(([{ _tag }]) => _tag), problems)
  })

  for (const [problem, message] of table) {
    it(`explains ${problem._tag} with place, expectation and valid names`, () => {
      assert.strictEqual(problem.message, message)
      assert.isTrue(message.endsWith(problem.description))
      assert.notInclude(message, "s3cret")
    })
  }

  it("joins the messages of its problems, one per line", () => {
    const first = new ConfigError.DisabledServer({ server: "s", path: [] })
    const second = new ConfigError.InvalidValue({ path: ["servers"], expected })
    const error = new ConfigError.ConfigError({ problems: [first, second] })
    assert.strictEqual(error.message, `${first.message}\n${second.message}`)
  })

  it("explains an empty configuration, a document of another shape, and values without a path", () => {
    assert.deepStrictEqual(
      [
        new ConfigError.UnknownServer({ server: "t", path: [], validNames: [] }),
        new ConfigError.InvalidDocument({ path: [], expected: "an object" }),
        new ConfigError.InvalidValue({ path: [], expected: "an object" })
      ].map(({ message }) => message),
      [
        "the server \"t\" is not configured; the configuration is empty",
        "the document must be an object",
        "the value must be an object"
      ]
    )
  })

  it("renders a path as a JSON path, with quotes where a name needs them", () => {
    assert.strictEqual(ConfigError.jsonPath(["servers", "my server", "args", 0]), "$.servers[\"my server\"].args[0]")
  })
})
