import { assert, describe, it } from "@effect/vitest"
import { emit } from "@mcp-sessions/cli/EmitTs"
import { AjvJsonSchemaValidator } from "@modelcontextprotocol/client/validators/ajv"
import { Effect, Exit, Schema } from "effect"
import { spawnSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { stripTypeScriptTypes } from "node:module"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll } from "vitest"
import { type HostileTool, hostileTool, Random, valueFor } from "../fixtures/hostileSchemas.ts"
import { workplace } from "./cli.ts"

const root = join(import.meta.dirname, "../..")

let directory = ""
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "emit-"))
  symlinkSync(join(root, "test/node_modules"), join(directory, "node_modules"))
})
afterAll(() => rmSync(directory, { recursive: true }))

/** Compiles modules with the strict rules of the compiler, and gives what it says. */
const compile = (files: Readonly<Record<string, string>>): string => {
  for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text)
  writeFileSync(
    join(directory, "tsconfig.json"),
    JSON.stringify({
      compilerOptions: {
        strict: true,
        exactOptionalPropertyTypes: true,
        noUncheckedIndexedAccess: true,
        noEmit: true,
        skipLibCheck: true,
        allowImportingTsExtensions: true,
        module: "NodeNext",
        target: "ES2023",
        lib: ["ES2023", "ESNext.Disposable"],
        types: []
      },
      files: Object.keys(files)
    })
  )
  writeFileSync(join(directory, "package.json"), "{\"type\":\"module\"}")
  const { stderr, stdout } = spawnSync(join(root, "node_modules/.bin/tsc"), ["-p", directory, "--pretty", "false"], {
    encoding: "utf8"
  })
  return stdout + stderr
}

interface Emitted {
  readonly [server: string]: {
    readonly [tool: string]: { readonly args: Schema.Codec<unknown>; readonly result?: Schema.Codec<unknown> }
  }
}

/** Runs an emitted module. */
const load = (text: string): Emitted => {
  const script = stripTypeScriptTypes(text.replace("import { Schema } from \"effect\"\n", ""))
  const names = Array.from(script.matchAll(/^export const (\w+)/gm), ([, name]) => name)
  return new Function(
    "Schema",
    `"use strict"; ${script.replaceAll(/^export const/gm, "const")}; return {${names.join(", ")}}`
  )(
    Schema
  )
}

const tool = (name: string, inputSchema: object, outputSchema?: object) => ({
  name,
  inputSchema: { type: "object" as const, ...inputSchema },
  ...(outputSchema === undefined ? {} : { outputSchema: { type: "object" as const, ...outputSchema } })
})

describe("emitted types", () => {
  it("name objects, literals, unions, lists, tuples, definitions and open objects, with descriptions as comments", () => {
    const text = emit({
      isEffect: false,
      servers: [{
        server: "my files",
        tools: [{
          ...tool("find", {
            properties: {
              kind: { enum: ["file", "directory"], description: "What to find", default: "file" },
              limit: { type: "integer" },
              since: { type: ["string", "null"], format: "date-time" },
              range: {
                type: "array",
                prefixItems: [{ type: "number" }, { type: "number" }],
                minItems: 1,
                items: false
              },
              labels: { type: "object", additionalProperties: { type: "string" } },
              tree: { $ref: "#/$defs/node" },
              other: { not: { type: "string" } },
              open: { type: "object", properties: { a: { const: 1 } }, patternProperties: { "^x": {} } }
            },
            required: ["kind"],
            $defs: {
              node: { type: "object", properties: { children: { type: "array", items: { $ref: "#/$defs/node" } } } }
            }
          }, {
            properties: { found: { anyOf: [{ type: "string" }, { type: "boolean" }] } },
            additionalProperties: false
          }),
          description: "Finds files"
        }, tool("list", {})]
      }]
    })
    assert.strictEqual(
      text,
      `/* Types of the tools of MCP servers, made by "mcp-sessions emit-ts". */

export type MyFilesFindArgsNode = {
  readonly "children"?: ReadonlyArray<MyFilesFindArgsNode>
}

/** The tools of my files. */
export interface MyFilesTools {
  /** Finds files */
  readonly "find": {
    readonly args: {
      /**
       * What to find
       * Default: "file"
       */
      readonly "kind": "file" | "directory"
      readonly "limit"?: number
      /** Format: date-time */
      readonly "since"?: string | null
      readonly "range"?: readonly [number, (number)?]
      readonly "labels"?: {
        readonly [key: string]: string
      }
      readonly "tree"?: MyFilesFindArgsNode
      readonly "other"?: unknown
      readonly "open"?: {
        readonly "a"?: 1
        readonly [key: string]: unknown
      }
    }
    readonly result: {
      readonly "found"?: string | boolean
    }
  }
  readonly "list": {
    readonly args: {
      readonly [key: string]: unknown
    }
  }
}

/** The tools of each server. */
export interface Servers {
  readonly "my files": MyFilesTools
}
`
    )
  })

  it("type the calls of a program, which the compiler checks", () => {
    const servers = emit({
      isEffect: true,
      servers: [{
        server: "files",
        tools: [
          tool("read", { properties: { path: { type: "string" } }, required: ["path"] }, {
            properties: { size: { type: "number" } },
            required: ["size"]
          }),
          tool("list", { properties: { all: { type: "boolean" } } })
        ]
      }]
    })
    const program = `
import { McpSessions, Session, Sessions } from "@mcp-sessions/core"
import { Effect, Schema } from "effect"
import { FilesTools, type Servers } from "./servers.ts"

declare const session: Session.Session
declare const promises: McpSessions.McpSessions

export const one = Effect.gen(function*() {
  const files = Session.typed<FilesTools>(session)
  yield* files.callTool("list")
  yield* files.callTool("list", { all: true }, { timeout: "1 second" })
  const result = yield* files.callTool("read", { path: "a" })
  // @ts-expect-error a failed tool has no such result
  result.structuredContent.size
  return result.isError === true ? 0 : result.structuredContent.size
}) satisfies Effect.Effect<number, unknown>

export const all = Effect.gen(function*() {
  const sessions = Sessions.typed<Servers>(yield* Sessions.Sessions)
  const size = yield* sessions.use("files", (files) => files.callTool("read", { path: "a" }))
  yield* sessions.callTool("files", "list")
  return size
})

export const plain = async () => {
  const sessions = McpSessions.typed<Servers>(promises)
  await using files = await sessions.get("files")
  const result = await files.callTool("read", { path: "a" }, { timeout: 1000 })
  return result.isError === true ? 0 : result.structuredContent.size satisfies number
}

export const size: number = Schema.decodeUnknownSync(FilesTools.read.result)({ size: 1 }).size

const files = Session.typed<FilesTools>(session)
// @ts-expect-error the argument is missing
files.callTool("read")
// @ts-expect-error the argument is no number
files.callTool("read", { path: 1 })
// @ts-expect-error the tool is unknown
files.callTool("write", {})
// @ts-expect-error the server is unknown
McpSessions.typed<Servers>(promises).callTool("others", "read", { path: "a" })
// @ts-expect-error the argument is unknown
files.callTool("list", { most: true })
`
    assert.strictEqual(compile({ "servers.ts": servers, "program.ts": program }), "")
  })
})

describe("emit-ts", () => {
  it.live("writes a module of the tools of real servers that compiles, and replaces the file that was there", () =>
    Effect.gen(function*() {
      const place = yield* workplace
      place.write("mcp-sessions.json", {
        servers: { everything: { command: "mcp-server-everything", args: ["stdio"] } }
      })
      place.write("servers.ts", "old")
      const outcome = yield* place.run(["emit-ts", "everything", "--effect", "--out", "servers.ts"])
      assert.deepStrictEqual(outcome, { status: 0, stdout: "", stderr: "wrote servers.ts\n" })
      const text = readFileSync(join(place.directory, "servers.ts"), "utf8")
      assert.include(text, "readonly \"location\": \"New York\" | \"Chicago\" | \"Los Angeles\"")
      assert.strictEqual(compile({ "everything.ts": text }), "")
      const printed = yield* place.run(["emit-ts", "everything"])
      assert.include(printed.stdout, "export interface EverythingTools {")
      assert.notInclude(printed.stdout, "Schema")
      const refused = yield* place.run(["emit-ts", "everything", "--out", "no/such/directory.ts"])
      assert.deepStrictEqual([refused.status, refused.stdout], [2, ""])
      assert.include(refused.stderr, "--out: the file cannot be written (ENOENT)")
    }).pipe(Effect.scoped))
})

describe("emitted modules of hostile servers", () => {
  const seeds = Array.from({ length: 15 }, (_, index) => index + 1)
  const toolsOf = (seed: number): ReadonlyArray<HostileTool> => {
    const random = new Random(seed)
    return [hostileTool(random), hostileTool(random), hostileTool(random)]
  }
  const emitted = (isEffect: boolean, count = seeds.length) =>
    emit({
      isEffect,
      servers: seeds.slice(0, count).map((seed) => ({
        server: toolsOf(seed)[0]?.name ?? "",
        tools: toolsOf(seed) as never
      }))
    })

  it("compile under the strict rules, as types alone and with schemas that agree with the types", () => {
    assert.strictEqual(compile({ "types.ts": emitted(false), "schemas.ts": emitted(true) }), "")
  })

  it("run none of the text of the servers", () => {
    load(emitted(true))
    assert.notProperty(globalThis, "pwned")
    assert.notMatch(emitted(true), /[\p{Cf}\p{Cs}\p{Zl}\p{Zp}]|[^\P{Cc}\n]/u)
  })

  it("have schemas that admit every value that the JSON Schemas admit", () => {
    const validator = new AjvJsonSchemaValidator()
    let admitted = 0
    for (const seed of Array.from({ length: 120 }, (_, index) => index + 1000)) {
      const random = new Random(seed)
      // The validator cannot tell half a character from a whole one.
      const hostile = { ...JSON.parse(JSON.stringify(hostileTool(random)).replaceAll("\\ud800", "half")), name: "tool" }
      const text = emit({ isEffect: true, servers: [{ server: "s", tools: [hostile as never] }] })
      const schemas = load(text).STools?.tool
      for (
        const [schema, emittedSchema] of [[hostile.inputSchema, schemas?.args], [
          hostile.outputSchema,
          schemas?.result
        ]] as const
      ) {
        if (emittedSchema === undefined) assert.fail("no schema")
        let check: (value: unknown) => { readonly valid: boolean }
        try {
          // The validator warns of formats that it does not know.
          check = validator.getValidator(
            JSON.parse(JSON.stringify(schema, (key, value) => key === "format" ? undefined : value))
          )
        } catch {
          // The validator refuses schemas with references to nowhere and unknown types.
          continue
        }
        for (let times = 0; times < 20; times++) {
          const value = valueFor(random, schema)
          if (typeof value !== "object" || value === null || Array.isArray(value) || !check(value).valid) continue
          admitted++
          const decoded = Schema.decodeExit(emittedSchema)(value)
          if (Exit.isFailure(decoded)) {
            assert.fail(
              `seed ${seed}: ${JSON.stringify(value)} is refused: ${decoded.cause}\n${JSON.stringify(schema)}\n${text}`
            )
          }
        }
      }
    }
    assert.isAbove(admitted, 300)
  })
})
