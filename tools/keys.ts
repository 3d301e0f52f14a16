/**
 * Writes the descriptions of server keys (`packages/core/src/internal/config/keys.ts`) into the key tables of the README and
 * the doc comments of `ServerConfig.ts`.
 */
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import process from "node:process"
import type { KeyDescription } from "../packages/core/src/internal/config/describedKey.ts"
import {
  descriptionOf,
  fieldsOf,
  type TransportKind,
  transportKinds
} from "../packages/core/src/internal/config/keys.ts"

const root = join(import.meta.dirname, "..")

interface Key {
  readonly key: string
  readonly kinds: ReadonlyArray<TransportKind>
  /** By transport; only the default and, for `url`, the scheme differ. */
  readonly descriptions: ReadonlyArray<KeyDescription>
}

const keys: ReadonlyArray<Key> = Array.from(
  new Set(transportKinds.flatMap((kind) => Object.keys(fieldsOf(kind)))),
  (key) => {
    const described = transportKinds.flatMap((kind) => {
      const description = descriptionOf({ kind, key })
      return description === undefined ? [] : [{ kind, description }]
    })
    return {
      key,
      kinds: described.map(({ kind }) => kind),
      descriptions: described.map(({ description }) => description)
    }
  }
)

/** One text, or one for each group of transports that differ. */
const varied = ({ descriptions, kinds }: Key, text: (description: KeyDescription) => string): string => {
  const texts = new Map<string, Array<string>>()
  for (const [index, description] of descriptions.entries()) {
    const kindsOf = texts.get(text(description)) ?? []
    kindsOf.push(kinds[index] ?? "")
    texts.set(text(description), kindsOf)
  }
  return texts.size === 1
    ? [...texts.keys()].join("")
    : Array.from(texts, ([text, kinds]) => `${text} (${kinds.join(", ")})`).join("; ")
}

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

/** The key tables of the README. */
export const tables: string = sections.map(([title, has]) =>
  [
    `| ${title} | meaning | value | default | why |`,
    "| --- | --- | --- | --- | --- |",
    ...keys.filter(({ kinds }) => has(kinds)).map(row)
  ].join("\n")
).join("\n\n")

/** Puts the tables between their markers. */
export const updateReadme = (readme: string): string =>
  readme.replace(
    /(<!-- keys:begin -->\n)[\s\S]*?(\n<!-- keys:end -->)/,
    (_, begin: string, end: string) => `${begin}\n${tables}\n${end}`
  )

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

const commentOf = (key: string, kind: TransportKind): string | undefined => {
  const described = descriptionOf({ kind, key })
  if (described === undefined) return undefined
  const { default: fallback, description, expectation: { text }, why } = described
  const unit = text.startsWith("a duration") ? " (numbers are milliseconds)" : ""
  const value = key === "transport" || text === "true or false" ? [] : [`Accepts ${text}${unit}.`]
  return wrapped([description, ...value, ...(fallback === undefined ? [] : [`Default: ${fallback}.`]), why].join(" "))
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
  ["README.md", updateReadme],
  ["packages/core/src/ServerConfig.ts", updateComments]
] as const

if (process.argv[1] === import.meta.filename) {
  for (const [file, update] of targets) {
    const path = join(root, file)
    writeFileSync(path, update(readFileSync(path, "utf8")))
  }
}
