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
  core: [/^effect\//],
  transports: [
    /^effect\//,
    /^@mcp-sessions\/core\//,
    /^@modelcontextprotocol\/client(\/stdio|\/validators\/ajv)?$/,
    /^(undici|ws)$/,
    /^node:/
  ],
  cli: [
    /^effect\//,
    /^@mcp-sessions\/(core|transports)\//,
    /^@effect\/platform-node\/[A-Z]/,
    /^jsonc-parser$/,
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

describe("child processes", () => {
  const sources = globSync("packages/*/src/**/*.ts", { cwd: root }).map((file) => ({
    file,
    source: readFileSync(join(root, file), "utf8").replaceAll(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, "")
  }))

  it("are started by one module, without a shell, from a definition only", () => {
    const starters = sources.filter(({ source }) => /child_process|\bprocess\/ChildProcess/.test(source))
    assert.deepStrictEqual(starters.map(({ file }) => file), ["packages/transports/src/internal/stdio/childProcess.ts"])
    const [{ source } = { source: "" }] = starters
    assert.deepStrictEqual(Array.from(source.matchAll(/ChildProcess\.([a-z]\w*)/g), ([, used]) => used), ["spawn"])
    assert.notMatch(source, /\bshell\b/)
    const callers = importsOf("transports").filter(({ from, isType }) => from.endsWith("/childProcess.ts") && !isType)
    assert.deepStrictEqual(callers.map(({ file }) => file), ["packages/transports/src/Stdio.ts"])
  })

  it("never open a URL", () => {
    const openers = sources.filter(({ source }) =>
      /\b(?:xdg-open|rundll32|start \/|openExternal)\b|\b(?:spawn|exec\w*)\(\s*"open"/.test(source)
    )
    assert.deepStrictEqual(openers.map(({ file }) => file), [])
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

  it("have at most 500 lines of code", () => {
    // The public error reasons stay in one module, because programs match on their unions.
    const files = globSync("packages/*/src/**/*.ts", { cwd: root }).filter((file) => !file.endsWith("/SessionError.ts"))
    const large = files.filter((file) => {
      const code = readFileSync(join(root, file), "utf8").replaceAll(/\/\*[\s\S]*?\*\//g, "").split("\n")
      return code.filter((line) => line.trim() !== "").length > 500
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
    assert.deepStrictEqual(new Set([...versions, own, client]).size, 1)
  })
})
