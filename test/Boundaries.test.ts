/**
 * Imports go one way: `cli -> transports -> core -> effect`. This test lists the imports that each package may use.
 */
import { assert, describe, it } from "@effect/vitest"
import { globSync, readFileSync } from "node:fs"
import { dirname, join, normalize } from "node:path"

const root = join(import.meta.dirname, "..")

interface Import {
  readonly file: string
  readonly from: string
  readonly isType: boolean
}

const importsOf = (name: string): ReadonlyArray<Import> =>
  globSync(`packages/${name}/src/**/*.ts`, { cwd: root }).flatMap((file) => {
    const source = readFileSync(join(root, file), "utf8").replaceAll(/\/\*[\s\S]*?\*\//g, "")
    const statements = source.matchAll(/^(?:import|export)\s+(type\s)?[^"]*?from\s+"([^"]+)"/gm)
    const dynamic = source.matchAll(/import\("([^"]+)"\)/g)
    return [
      ...Array.from(statements, ([, type, from = ""]) => ({ file, from, isType: type !== undefined })),
      ...Array.from(dynamic, ([, from = ""]) => ({ file, from, isType: false }))
    ]
  })

const packages = {
  core: [/^effect\//, /^toml-eslint-parser$/],
  transports: [
    /^effect\//,
    /^@mcp-sessions\/core\//,
    /^@modelcontextprotocol\/client(\/validators\/ajv)?$/,
    /^(jose|undici|undici\/index\.js|ws)$/,
    /^node:/
  ],
  cli: [
    /^effect\//,
    /^@mcp-sessions\/(core|transports)\//,
    /^@effect\/(platform-node|sql-pg)\/[A-Z]/,
    /^(jsonc-parser|fast-string-width)$/,
    /^node:/
  ]
}

describe("the import rules", () => {
  for (const [name, allowed] of Object.entries(packages)) {
    it(`allow ${name} only its listed packages`, () => {
      const imports = importsOf(name)
      assert.isAbove(imports.length, 20)
      const strays = imports.filter(({ file, from, isType }) =>
        !from.startsWith(".") && !allowed.some((pattern) => pattern.test(from)) &&
        !(isType && file === "packages/core/src/Mcp.ts" && from === "@modelcontextprotocol/client")
      )
      assert.deepStrictEqual(strays, [])
    })

    it(`allow ${name} only files of its own folder, and no barrel`, () => {
      const strays = importsOf(name).filter(({ file, from }) =>
        from.startsWith(".") &&
        (!normalize(join(dirname(file), from)).startsWith(`packages/${name}/src/`) || from.endsWith("/index.ts"))
      )
      assert.deepStrictEqual(strays, [])
    })
  }

  it("allow run-time imports of the SDK only in transports", () => {
    const strays = ["core", "cli"].flatMap(importsOf).filter(({ from, isType }) =>
      from.startsWith("@modelcontextprotocol/") && !isType
    )
    assert.deepStrictEqual(strays, [])
  })

  it("allow imports of Node only in internal modules and the program's entry", () => {
    const strays = ["transports", "cli"].flatMap(importsOf).filter(({ file, from }) =>
      from.startsWith("node:") && !file.includes("/internal/") && !file.endsWith("/bin.ts")
    )
    assert.deepStrictEqual(strays, [])
  })
})

/**
 * The rooms of `core/src/internal`, lowest first: a room imports only rooms before it. Rooms on one line do not import each other. `root` is
 * the files outside of all rooms.
 */
const coreRooms = [
  ["root"],
  ["telemetry"],
  ["config"],
  ["configFile"],
  ["server"],
  ["connection"],
  ["request"],
  ["notifications"],
  ["session"],
  ["fallback", "pool"],
  ["registry", "toolkit"],
  ["facade"]
]

const belowKinds = ["root", "network", "jsonRpc", "modern", "channel"]

/** The rooms of `transports/src/internal`, and what each may import. `memory.ts` is a kind of transport in one file. */
const transportRooms: Readonly<Record<string, ReadonlyArray<string>>> = {
  root: [],
  network: ["root"],
  jsonRpc: ["root", "network"],
  modern: ["root", "network", "jsonRpc"],
  channel: ["root", "network", "jsonRpc", "modern"],
  memory: belowKinds,
  stdio: belowKinds,
  http: belowKinds,
  webSocket: belowKinds,
  sse: [...belowKinds, "http"],
  sdk: [...belowKinds, "memory", "stdio", "http", "webSocket", "sse"],
  recording: belowKinds,
  oauth: ["root", "network"],
  command: ["root", "network"],
  tokenStore: [],
  consent: [],
  frameworks: [],
  accessTokens: ["root", "network", "oauth"],
  gateway: ["root", "jsonRpc", "modern", "accessTokens"],
  dashboard: ["root", "jsonRpc", "gateway"],
  fleet: ["root", "gateway"],
  host: ["tokenStore"]
}

/**
 * The rooms of `transports/src/internal/gateway`, lowest first: a room imports only rooms before it. `root` is the files that put a gateway
 * together.
 */
const gatewayRooms = [
  "protocol",
  "catalog",
  "http",
  "admission",
  "streams",
  "client",
  "call",
  "modern",
  "endpoint",
  "root"
]

const mayImport = {
  core: (from: string, to: string): boolean => {
    const level = (room: string) => coreRooms.findIndex((rooms) => rooms.includes(room))
    return level(to) >= 0 && level(to) < level(from)
  },
  transports: (from: string, to: string): boolean => transportRooms[from]?.includes(to) ?? false
}

/** The path of an internal module below `internal/`; `undefined` for another module. */
const internalPath = (file: string): string | undefined => file.split("/src/internal/")[1]

const roomOf = (path: string): string =>
  path === "memory.ts" ? "memory" : path.includes("/") ? path.split("/", 1).join() : "root"

const targetOf = ({ file, from }: Import): string => normalize(join(dirname(file), from))

describe("the rooms of internal code", () => {
  for (const name of ["core", "transports"] as const) {
    it(`of ${name} import only the rooms below them, types included`, () => {
      const crossing = importsOf(name).flatMap((one) => {
        const path = internalPath(one.file)
        const target = one.from.startsWith(".") ? internalPath(targetOf(one)) : undefined
        return path === undefined || target === undefined || roomOf(path) === roomOf(target) ? [] : [{ path, target }]
      })
      assert.isAbove(crossing.length, 20)
      const strays = crossing.filter(({ path, target }) => !mayImport[name](roomOf(path), roomOf(target)))
      assert.deepStrictEqual(
        [...new Set(strays.map(({ path, target }) => `${path} -> ${target}`))].toSorted(),
        []
      )
    })
  }

  it("of the gateway import only the rooms below them, types included", () => {
    const inGateway = (path: string | undefined) => path?.split("gateway/")[1]
    const crossing = importsOf("transports").flatMap((one) => {
      const path = inGateway(internalPath(one.file))
      const target = one.from.startsWith(".") ? inGateway(internalPath(targetOf(one))) : undefined
      return path === undefined || target === undefined || roomOf(path) === roomOf(target) ? [] : [{ path, target }]
    })
    assert.isAbove(crossing.length, 100)
    assert.deepStrictEqual(
      crossing.filter(({ path, target }) => {
        const [from, to] = [gatewayRooms.indexOf(roomOf(path)), gatewayRooms.indexOf(roomOf(target))]
        return from < 0 || to < 0 || to > from
      }),
      []
    )
  })

  it("do not import the public modules on top of them, types included, and Session.ts only for its types", () => {
    const strays = ["core", "transports"].flatMap(importsOf).filter(({ file, from, isType }) => {
      if (internalPath(file) === undefined) return false
      const [, module = ""] = /^(?:(?:\.\.\/)+|@mcp-sessions\/core\/)([A-Z]\w*)(?:\.ts)?$/.exec(from) ?? []
      return ["Sessions", "SessionPool", "McpSessions", "Fallback"].includes(module) ||
        (module === "Session" && !isType)
    })
    assert.deepStrictEqual(strays, [])
  })

  it("count a request in flight on a connection only by LiveConnection.use and the in-flight record", () => {
    const users = importsOf("core").filter(({ from }) => from.endsWith("/liveConnection.ts")).map(({ file }) => file)
    assert.isAbove(users.length, 5)
    const counting = [...new Set(users)].filter((file) =>
      /(?:[\w#)\]]+\??\.)(?<!\bthis\.|\bQueue\.)(?:begin|end)\(/.test(readFileSync(join(root, file), "utf8"))
    )
    assert.deepStrictEqual(counting, ["packages/core/src/internal/request/inFlightRecord.ts"])
  })
})

describe("run-time imports", () => {
  for (const name of Object.keys(packages)) {
    it(`of ${name} form no circle`, () => {
      const next = new Map<string, Array<string>>()
      for (const one of importsOf(name)) {
        if (one.isType || !one.from.startsWith(".")) continue
        next.set(one.file, [...next.get(one.file) ?? [], targetOf(one)])
      }
      const done = new Set<string>()
      const circleFrom = (file: string, path: ReadonlyArray<string>): ReadonlyArray<string> => {
        if (path.includes(file)) return [...path.slice(path.indexOf(file)), file]
        if (done.has(file)) return []
        const circle = next.get(file)?.map((to) => circleFrom(to, [...path, file])).find(({ length }) => length > 0)
        done.add(file)
        return circle ?? []
      }
      for (const file of next.keys()) assert.deepStrictEqual(circleFrom(file, []), [])
    })
  }
})

describe("the rooms that read what clients and other nodes send", () => {
  it("read texts with textOrEmpty, because String throws for an object whose toString is not a function", () => {
    const files = ["gateway", "fleet", "dashboard"].flatMap((room) =>
      globSync(`packages/transports/src/internal/${room}/**/*.ts`, { cwd: root })
    ).filter((file) => !file.endsWith("/assets.ts"))
    assert.isAbove(files.length, 60)
    const strays = files.filter((file) => {
      const source = readFileSync(join(root, file), "utf8").replaceAll(/\/\*[\s\S]*?\*\//g, "")
      return /(?<![.\w])String\(|\((?:globalThis\.)?String\)/.test(source)
    })
    assert.deepStrictEqual(strays, [])
  })
})

describe("child processes", () => {
  const sources = globSync("packages/*/src/**/*.ts", { cwd: root }).map((file) => ({
    file,
    source: readFileSync(join(root, file), "utf8").replaceAll(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, "")
  }))

  const browser = "packages/transports/src/internal/consent/browser.ts"
  const room = "packages/transports/src/internal/stdio"
  const server = `${room}/processGroup.ts`
  const watchdog = `${room}/watchdog.ts`
  const command = "packages/transports/src/internal/command/runCommand.ts"
  const withCommand = "packages/cli/src/internal/runChild.ts"
  const sourceOf = (file: string) => sources.find((one) => one.file === file)?.source ?? ""
  const importersOf = (name: string) =>
    importsOf("transports").filter(({ from, isType }) => from.endsWith(`/${name}`) && !isType).map(({ file }) => file)

  it("are started by five modules, without a shell: a server from a definition, its watchdog, a browser by a consent, a command that prints credentials, and the command of `with`", () => {
    const starters = sources.filter(({ source }) => /child_process|\bprocess\/ChildProcess/.test(source))
    assert.deepStrictEqual(starters.map(({ file }) => file).toSorted(), [
      withCommand,
      command,
      browser,
      server,
      watchdog
    ])
    for (const file of [browser, command, server, withCommand]) {
      const source = sourceOf(file)
      assert.deepStrictEqual(Array.from(source.matchAll(/ChildProcess\.([a-z]\w*)/g), ([, used]) => used), ["spawn"])
      assert.notMatch(source, /\bshell\b/)
    }
    assert.deepStrictEqual(importersOf("processGroup.ts").toSorted(), [
      `${room}/childProcesses.ts`,
      `${room}/earlyProcess.ts`
    ])
    assert.deepStrictEqual(importersOf("childProcesses.ts"), ["packages/transports/src/Processes.ts"])
    assert.deepStrictEqual(importersOf("earlyProcess.ts"), ["packages/transports/src/EarlyProcess.ts"])
    assert.deepStrictEqual(importersOf("runCommand.ts"), [
      "packages/transports/src/internal/command/commandSource.ts"
    ])
    assert.deepStrictEqual(importersOf("browser.ts"), ["packages/transports/src/Consent.ts"])
  })

  it("of the watchdog run one constant script", () => {
    const source = sourceOf(watchdog)
    const calls = Array.from(source.matchAll(/ChildProcess\.([a-z]\w*\([^{]*)/g), ([, call]) => call)
    assert.deepStrictEqual(calls, ["spawn(this.#program, [\"-c\", script, \"watchdog\", ...groups], "])
    const [, script] = /const script = `([^`]*)`/.exec(source) ?? []
    assert.notMatch(script ?? assert.fail("there is no script"), /(?<!\\)\$\{/)
    assert.deepStrictEqual(importersOf("watchdog.ts"), [server])
  })

  it("open a URL only as a consent", () => {
    const openers = sources.filter(({ source }) =>
      /\b(?:xdg-open|rundll32|start \/|openExternal)\b|\b(?:spawn|exec\w*)\(\s*"open"/.test(source)
    )
    assert.deepStrictEqual(openers.map(({ file }) => file), [browser])
    assert.match(sourceOf(browser), /ChildProcess\.spawn\(program, args,/)
  })
})

describe("source modules", () => {
  it("begin with a doc comment", () => {
    const silent = globSync("packages/*/src/**/*.ts", { cwd: root }).filter((file) =>
      !file.endsWith("/index.ts") &&
      !/^(#!.*\n)?(import [^\n]*\n|\n)*\/\*\*/.test(readFileSync(join(root, file), "utf8"))
    )
    assert.deepStrictEqual(silent.filter((file) => !file.endsWith("/bin.ts")), [])
  })

  it("have at most 300 lines of code, comments aside", () => {
    // Public schemas and errors stay in one module each, because programs match on their unions.
    const exempt = ["SessionError.ts", "ConfigError.ts", "ServerConfig.ts", "Session.ts"]
    const large = globSync("packages/*/src/**/*.ts", { cwd: root }).flatMap((file) => {
      const source = readFileSync(join(root, file), "utf8").replaceAll(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, "")
      const lines = source.split("\n").filter((line) => line.trim() !== "").length
      return lines > 300 && !exempt.some((name) => file === `packages/core/src/${name}`) ? [{ file, lines }] : []
    })
    assert.deepStrictEqual(large, [])
  })

  it("use one version number in all packages", () => {
    const versions = globSync("packages/*/package.json", { cwd: root }).map((file) =>
      JSON.parse(readFileSync(join(root, file), "utf8")).version
    )
    const [, own] = /version = "([^"]+)"/.exec(readFileSync(join(root, "packages/cli/src/Version.ts"), "utf8")) ?? []
    const [, client] = /name: "mcp-sessions", version: "([^"]+)"/.exec(
      readFileSync(join(root, "packages/core/src/internal/config/commonKeys.ts"), "utf8")
    ) ?? []
    const [, gateway] = /name: "mcp-sessions", version: "([^"]+)"/.exec(
      readFileSync(join(root, "packages/transports/src/Gateway.ts"), "utf8")
    ) ?? []
    assert.deepStrictEqual(new Set([...versions, own, client, gateway]).size, 1)
  })
})

/** The files that read the time of day: for display, for times of day that servers name, and for the age of a file. */
const wallClockFiles = [
  "packages/cli/src/LogBook.ts",
  "packages/cli/src/commands/auth.ts",
  "packages/cli/src/commands/serve.ts",
  "packages/cli/src/commands/time.ts",
  "packages/cli/src/commands/useServer.ts",
  "packages/cli/src/commands/watchHealth.ts",
  "packages/cli/src/internal/launch/memoStore.ts",
  "packages/core/src/internal/monotonic.ts",
  "packages/transports/src/internal/dashboard/assets.ts",
  "packages/transports/src/internal/http/httpChannel.ts",
  "packages/transports/src/internal/http/keepCookies.ts",
  "packages/transports/src/internal/oauth/timeOfDay.ts"
]

describe("the time of day", () => {
  it("is read only by the files that show it: all deadlines, delays and ages are of monotonic time", () => {
    const readers = globSync("packages/*/src/**/*.ts", { cwd: root }).filter((file) => {
      const source = readFileSync(join(root, file), "utf8").replaceAll(/\/\*[\s\S]*?\*\//g, "")
      return /\b(currentTimeMillis|currentTimeNanos|Date\.now|DateTime\.now|hrtime|timeOrigin)|new Date\(\)/.test(
        source
      )
    })
    assert.deepStrictEqual(readers.toSorted(), wallClockFiles)
  })
})
