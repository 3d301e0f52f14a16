/**
 * Writes the descriptions of server keys (`packages/core/src/internal/config/keys.ts`) into `docs/configuration.md`, the doc comments
 * of `ServerConfig.ts` and the JSON Schema of `mcp-sessions.json`.
 */
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import process from "node:process"
import { type TransportKind, transportKinds } from "../packages/core/src/internal/config/keys.ts"
import { clientTable } from "./clients.ts"
import { configSchema } from "./configSchema.ts"
import { type Key, keys, sentences, varied } from "./describedKeys.ts"

const root = join(import.meta.dirname, "..")

const row = (key: Key): string => {
  const { description = "", why = "" } = key.descriptions[0] ?? {}
  const accepts = key.key === "transport"
    ? transportKinds.map((kind) => JSON.stringify(kind)).join(", ")
    : varied(key, ({ expectation }) => expectation.text)
  const cells = [`\`${key.key}\``, description, accepts, varied(key, (key) => key.default ?? "required"), why]
  return `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`
}

const sections: ReadonlyArray<readonly [title: string, has: (kinds: ReadonlyArray<TransportKind>) => boolean]> = [
  ["Every server", (kinds) => kinds.length === transportKinds.length],
  ["stdio", (kinds) => kinds.length === 1 && kinds[0] === "stdio"],
  ["streamable_http, sse and websocket", (kinds) => !kinds.includes("stdio")]
]

const tables: string = sections.map(([title, has]) =>
  [
    `| ${title} | meaning | value | default | why |`,
    "| --- | --- | --- | --- | --- |",
    ...keys.filter(({ kinds }) => has(kinds)).map(row)
  ].join("\n")
).join("\n\n")

/** Replaces the region of a page between `<!-- name:begin -->` and `<!-- name:end -->`. */
const filled = ({ content, name, page }: {
  readonly page: string
  readonly name: string
  readonly content: string
}): string =>
  page.replace(
    new RegExp(`(<!-- ${name}:begin -->\\n)[\\s\\S]*?(\\n<!-- ${name}:end -->)`),
    (_, begin: string, end: string) => `${begin}\n${content}\n${end}`
  )

/** Writes the tables of keys and clients. */
export const updateReference = (page: string): string =>
  filled({ page: filled({ page, name: "keys", content: tables }), name: "clients", content: clientTable })

const wrapped = (text: string): string => {
  const lines = [""]
  for (const word of text.split(" ")) {
    const line = lines.at(-1) ?? ""
    if (line !== "" && `   * ${line} ${word}`.length > 120) lines.push(word)
    else lines[lines.length - 1] = line === "" ? word : `${line} ${word}`
  }
  const [only = "", ...more] = lines
  return more.length === 0 && only.length < 110
    ? `  /** ${only} */`
    : ["  /**", ...lines.map((line) => `   * ${line}`), "   */"].join("\n")
}

const commentOf = (name: string, kind: TransportKind): string | undefined => {
  const key = keys.find(({ key }) => key === name)
  const index = key?.kinds.indexOf(kind) ?? -1
  const description = key?.descriptions[index]
  return key === undefined || description === undefined
    ? undefined
    : wrapped(sentences({ ...key, kinds: [kind], descriptions: [description] }))
}

const documented: Readonly<Record<string, TransportKind>> = {
  ServerOptions: "stdio",
  RemoteServerOptions: "sse",
  StdioServer: "stdio",
  StreamableHttpServer: "streamable_http",
  SseServer: "sse",
  WebSocketServer: "websocket"
}

/** Writes the doc comments of keys in the interfaces of definitions. */
export const updateComments = (source: string): string =>
  source.replaceAll(/^export interface (\w+)[^{]*\{\n[\s\S]*?^\}/gm, (block, name: string) => {
    const kind = Object.hasOwn(documented, name) ? documented[name] : undefined
    return kind === undefined ? block : block.replaceAll(
      / {2}\/\*\*(?:(?!\*\/)[\s\S])*\*\/\n( {2}readonly (\w+))/g,
      (whole, property: string, key: string) => {
        const comment = commentOf(key, kind)
        return comment === undefined ? whole : `${comment}\n${property}`
      }
    )
  })

/** The files that say what the keys mean, with the function that brings each up to date. */
export const targets = [
  ["docs/configuration.md", updateReference],
  ["packages/core/src/ServerConfig.ts", updateComments],
  ["packages/core/mcp-sessions.schema.json", () => `${JSON.stringify(configSchema, undefined, 2)}\n`]
] as const

if (process.argv[1] === import.meta.filename) {
  for (const [file, update] of targets) {
    const path = join(root, file)
    writeFileSync(path, update(readFileSync(path, "utf8")))
  }
}
