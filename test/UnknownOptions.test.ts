/**
 * Misspelled options, wherever a program without types gives an object of options.
 */
import { assert, describe, it } from "@effect/vitest"
import {
  type ConfigError,
  ConfigFile,
  FallbackPolicy,
  McpSessions as CoreSessions,
  Session,
  SessionPool,
  Sessions,
  ToolCatalog,
  Toolkit
} from "@mcp-sessions/core"
import {
  AiSdk,
  Consent,
  Dashboard,
  Gateway,
  isConfigError,
  LangChain,
  McpAuthorization,
  McpSessions,
  Memory,
  NodeHost,
  OAuth,
  OpenAiAgents,
  TokenStore
} from "@mcp-sessions/transports"
import { McpServer } from "@modelcontextprotocol/server"
import { Effect, Layer, Stream } from "effect"

const serve: Memory.Serve = (peer) => {
  const server = new McpServer({ name: "echoing", version: "1" })
  server.registerTool("echo", {}, () => ({ content: [] }))
  return server.connect(peer)
}

const transports = Memory.layerTransports({ s: serve })

const servers = { s: { command: "none", protocol: "legacy" } } as const

const open = () => CoreSessions.make({ servers, transports })

/** Options as a program without types gives them. */
const untyped = <O>(options: object): O => options as O

/** The problems of a `ConfigError`, as the keys that lead to them and the known keys. */
const problemsOf = (error: unknown): ReadonlyArray<readonly [path: string, isMeant: boolean]> =>
  !isConfigError(error)
    ? assert.fail(`not a ConfigError: ${String(error)}`)
    : error.problems.map((problem) =>
      problem._tag === "UnknownKey"
        ? [problem.path.join("."), problem.message.includes("did you mean")]
        : assert.fail(problem.message)
    )

const rejection = async (promise: Promise<unknown>): Promise<unknown> => {
  try {
    await promise
  } catch (error) {
    return error
  }
  return assert.fail("the options were accepted")
}

const first = (items: AsyncIterable<unknown>): Promise<unknown> => items[Symbol.asyncIterator]().next()

describe("a misspelled option of the promise facade", () => {
  const opening: Readonly<Record<string, readonly [open: () => Promise<McpSessions.McpSessions>, path: string]>> = {
    open: [async () => McpSessions.open(untyped({ servers, retrry: { times: 1, delay: 1 } })), "retrry"],
    "open, in its retry": [
      async () => McpSessions.open(untyped({ servers, retry: { times: 1, delay: 1, dellay: 2 } })),
      "retry.dellay"
    ],
    "open, in its circuit": [
      async () => McpSessions.open(untyped({ servers, circuit: { failures: 3, openFor: 1, openfr: 2 } })),
      "circuit.openfr"
    ],
    "open, in its handlers": [
      async () => McpSessions.open(untyped({ servers, handlers: { elicitaton: () => {} } })),
      "handlers.elicitaton"
    ],
    "open, in its elicitation": [
      async () => McpSessions.open(untyped({ servers, handlers: { elicitation: { fomr: () => {} } } })),
      "handlers.elicitation.fomr"
    ],
    "open, in its telemetry": [
      async () => McpSessions.open(untyped({ servers, telemetry: { tracparent: () => "" } })),
      "telemetry.tracparent"
    ],
    fromFile: [() => McpSessions.fromFile(untyped({ fles: ["a.json"] })), "fles"],
    "McpSessions.make": [
      async () => CoreSessions.make(untyped({ servers, transports, alowCommand: () => true })),
      "alowCommand"
    ],
    "McpAuthorization.make": [
      async () => McpSessions.open({ servers, authorization: McpAuthorization.make(untyped({ clientNmae: "x" })) }),
      "authorization.clientNmae"
    ]
  }
  for (const [name, [open, path]] of Object.entries(opening)) {
    it(`of ${name} is a ConfigError`, async () => {
      const opened = open().then(async (sessions) => {
        await using _ = sessions
        await sessions.get("s")
      })
      assert.deepStrictEqual(problemsOf(await rejection(opened)), [[path, true]])
    })
  }

  const operations: Readonly<
    Record<string, (sessions: McpSessions.McpSessions, options: never) => Promise<unknown>>
  > = {
    get: (sessions, options) => sessions.get("s", options),
    open: (sessions, options) => sessions.open("s", options),
    callTool: (sessions, options) => sessions.callTool("s", "echo", { message: "" }, options),
    tools: (sessions, options) => sessions.tools(options),
    status: (sessions, options) => sessions.status("s", options),
    signIn: (sessions, options) => sessions.signIn("s", options),
    signOut: (sessions, options) => sessions.signOut("s", options),
    signInState: (sessions, options) => sessions.signInState("s", options),
    restart: (sessions, options) => sessions.restart("s", options),
    eject: (sessions, options) => sessions.eject("s", options),
    readmit: (sessions, options) => sessions.readmit("s", options),
    withFallback: (sessions, options) =>
      sessions.withFallback({ servers: ["s"], ...options as object }, () => Promise.resolve())
  }
  for (const [name, run] of Object.entries(operations)) {
    it(`of ${name} is a ConfigError`, async () => {
      await using sessions = open()
      const error = await rejection(run(sessions, untyped<never>({ siganl: new AbortController().signal })))
      assert.deepStrictEqual(problemsOf(error), [["siganl", true]])
    })
  }

  it("of a session, a pool or a catalog is a ConfigError", async () => {
    await using sessions = open()
    await using session = await sessions.get("s")
    const bad = untyped<never>({ siganl: new AbortController().signal })
    const poolOptions = { server: "s", max: 1 }
    await using pool = await sessions.pool(poolOptions)
    await using tools = await sessions.tools()
    const uninitialized = await sessions.open("s", { handshake: "manual" })
    const rejected = [
      session.callTool("echo", {}, bad),
      session.listTools(bad),
      session.readResource("a://b", bad),
      session.getPrompt("p", {}, bad),
      session.complete({ type: "ref/prompt", name: "p" }, { name: "a", value: "" }, bad),
      session.ping(bad),
      session.connect(bad),
      session.setLogLevel("error", bad),
      first(session.notifications(bad)),
      first(session.subscribe("a://b", bad)),
      pool.callTool("echo", {}, bad),
      pool.use(() => Promise.resolve(), bad),
      pool.stats(bad),
      tools.accept("s_echo", bad),
      tools.refresh(bad),
      first(tools.changes(bad)),
      uninitialized.initialize(bad)
    ]
    for (const promise of rejected) assert.deepStrictEqual(problemsOf(await rejection(promise)), [["siganl", true]])
    const call = untyped<never>({ name: "s_echo", arsg: {} })
    for (const promise of [tools.call(call), tools.needsApproval(call)]) {
      assert.deepStrictEqual(problemsOf(await rejection(promise)), [["arsg", true]])
    }
    const error = await rejection(sessions.pool(untyped({ ...poolOptions, leakAftr: 1 })))
    assert.deepStrictEqual(problemsOf(error), [["pool.leakAftr", true]])
    await uninitialized.close()
  })

  it("that the Effect API has elsewhere is unknown too: a session has its owner already", async () => {
    await using sessions = open()
    await using session = await sessions.get("s", { owner: "a" })
    const error = await rejection(session.callTool("echo", { message: "" }, untyped({ owner: "b" })))
    assert.deepStrictEqual(problemsOf(error), [["owner", false]])
  })
})

describe("a misspelled option of the Effect API", () => {
  const fails = <A, E, R>(
    effect: Effect.Effect<A, E, R>,
    ...expected: ReadonlyArray<readonly [path: string, isMeant: boolean]>
  ) =>
    Effect.gen(function*() {
      assert.deepStrictEqual(problemsOf(yield* Effect.flip(effect)), expected)
    })
  const build = <A, E, R>(layer: Layer.Layer<A, E, R>) => Effect.scoped(Layer.build(layer))
  const provided = (options: object) => Layer.provide(Sessions.layer(untyped(options)), transports)

  it.effect("of sessions is a ConfigError", () =>
    Effect.gen(function*() {
      const policies = { onCleanp: () => Effect.void, fallback: { ...FallbackPolicy.fallbackDefault, goodProbs: 1 } }
      const both = [["onCleanp", true], ["fallback.goodProbs", true]] as const
      yield* fails(build(provided({ servers, ...policies })), ...both)
      yield* fails(
        build(
          Layer.provide(
            Sessions.layerConfiguration(untyped({ configuration: { servers: [] }, ...policies })),
            transports
          )
        ),
        ...both
      )
      yield* fails(
        build(Layer.provide(Sessions.layerFile(untyped({ fles: [] })), Layer.merge(transports, NodeHost.layer))),
        ["fles", false]
      )
      yield* fails(
        Effect.scoped(Effect.provide(Session.make(servers.s, untyped({ nmae: "x" })), transports)),
        ["nmae", true]
      )
      yield* fails(Effect.provide(ConfigFile.load(untyped({ inptu: () => Effect.void })), NodeHost.layer), [
        "inptu",
        true
      ])
    }))

  it.effect("of an operation is a ConfigError", () =>
    Effect.gen(function*() {
      const sessions = yield* Sessions.Sessions
      const bad = untyped<Sessions.OwnerOptions>({ ownr: "a" })
      yield* fails(Effect.scoped(sessions.get("s", bad)), ["ownr", true])
      yield* fails(sessions.use("s", () => Effect.void, bad), ["ownr", true])
      yield* fails(Effect.scoped(sessions.open("s", bad)), ["ownr", true])
      yield* fails(sessions.callTool("s", "echo", {}, bad), ["ownr", true])
      yield* fails(sessions.signIn("s", bad), ["ownr", true])
      yield* fails(sessions.signOut("s", bad), ["ownr", true])
      yield* fails(sessions.signInState("s", bad), ["ownr", true])
      yield* fails(Effect.scoped(Stream.runDrain(sessions.openAll(bad))), ["ownr", true])
      const fallback = untyped<FallbackPolicy.FallbackOptions>({ servers: ["s"], ownr: "a" })
      yield* fails(sessions.withFallback(fallback, () => Effect.void), ["ownr", true])
      yield* fails(sessions.fallbackPlan(fallback), ["ownr", true])
      yield* fails(Effect.scoped(SessionPool.make(untyped({ server: "s", mxa: 1 }))), ["pool.mxa", true])
      yield* fails(Effect.scoped(ToolCatalog.make(untyped({ exlude: [] }))), ["exlude", true])
      yield* fails(Effect.scoped(Toolkit.make(untyped<Toolkit.ToolkitOptions<"error">>({ falureMode: "error" }))), [
        "falureMode",
        true
      ])
      yield* fails(
        Effect.scoped(Effect.flatMap(SessionPool.make({ server: "s" }), (pool) => pool.callTool("echo", {}, bad))),
        ["ownr", true]
      )
    }).pipe(Effect.provide(provided({ servers }))))

  it.effect("of a dashboard is a ConfigError", () =>
    Effect.gen(function*() {
      const sessions = yield* Sessions.Sessions
      const options = { sessions, title: "page", onUrl: () => Effect.void, prot: 80 }
      yield* fails(Effect.scoped(Dashboard.serve(untyped(options))), ["prot", true])
    }).pipe(Effect.provide(provided({ servers }))))

  it.effect("of an authorization or a consent is a ConfigError", () =>
    Effect.gen(function*() {
      const services = Layer.merge(TokenStore.layerMemory, Consent.layerHeadless)
      yield* fails(build(Layer.provide(OAuth.layer(untyped({ clientNmae: "x" })), services)), ["clientNmae", true])
      yield* fails(build(Consent.layerBrowser(untyped({ prot: 80 }))), ["prot", true])
      const prompt = { show: () => Effect.void, read: () => Effect.undefined, prot: 80 }
      yield* fails(build(Consent.layerPrompt(untyped(prompt))), ["prot", true])
    }))

  for (
    const [name, adapt] of [
      ["AiSdk", (options: object) => AiSdk.toolSet(untyped<AiSdk.ToolSetOptions<object>>(options))],
      ["LangChain", (options: object) => LangChain.tools(untyped<LangChain.ToolsOptions<object>>(options))],
      ["OpenAiAgents", (options: object) => OpenAiAgents.tools(untyped<OpenAiAgents.ToolsOptions>(options))]
    ] as const
  ) {
    it(`of ${name} is a ConfigError`, async () => {
      const error = await rejection((async () => adapt({ tools: { list: () => [] }, ouput: "content" }))())
      assert.deepStrictEqual(problemsOf(error), [["ouput", true]])
    })
  }

  it.effect("of a gateway is a ConfigError", () =>
    Effect.gen(function*() {
      const sessions = provided({ servers })
      yield* fails(
        build(Gateway.layer(untyped<Gateway.Options<ConfigError.ConfigError, never>>({
          sessions,
          prot: 80,
          limits: { maxBodyBites: 1 },
          jwt: { issuer: "https://a.example", audence: "x" }
        }))),
        ["prot", true],
        ["limits.maxBodyBites", true],
        ["jwt.audence", true]
      )
      yield* fails(
        Gateway.serveStdio(untyped<Gateway.StdioOptions<ConfigError.ConfigError, never>>({ sessions, port: 80 })),
        ["port", false]
      )
    }))
})
