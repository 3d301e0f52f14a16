/**
 * Entries of configuration files: each is translated as far as possible without values of variables.
 */
import * as Predicate from "effect/Predicate"
import { type ConfigProblem, ConflictingKeys, InvalidDocument, InvalidValue, UnknownKey } from "../../ConfigError.ts"
import type { Client, ClientName } from "./client.ts"
import { clients } from "./clients.ts"
import { type Document, keyProblem } from "./document.ts"
import type { Draft } from "./draft.ts"
import { type InputDeclaration, inputsOf } from "./inputs.ts"
import type { Scope } from "./model.ts"
import { type KeyFault, keyFaultsOf, type Member, memberOf, type Node, nodeAt, type Path, valueOf } from "./node.ts"
import { normalise } from "./normalise.ts"
import { clientOf, type Project, type Source } from "./sources.ts"

/** A file with its place and its program. */
export interface File extends Document {
  readonly client: ClientName
  readonly scope: Scope
  readonly folder: string
  readonly inputs: ReadonlyMap<string, InputDeclaration>
}

/** One entry of a file. */
export interface Entry {
  readonly file: File
  readonly scope: Scope
  readonly name: string
  readonly path: ReadonlyArray<string>
  readonly offset: number
  readonly written: unknown
  readonly draft: Draft
  readonly problems: ReadonlyArray<ConfigProblem>
  readonly isDisabled: boolean
}

/** The entries of a file, and the problems of the file as a whole. */
export interface FileEntries {
  readonly file: File
  readonly entries: ReadonlyArray<Entry>
  readonly problems: ReadonlyArray<ConfigProblem>
}

interface Section {
  readonly scope: Scope
  readonly path: ReadonlyArray<string>
  readonly node: Node
}

/** Whether a node is one definition, and no list of definitions by name. */
const isDefinition = (node: Node): boolean =>
  ["type", "command", "url"].some((key) => {
    const kind = memberOf(node, key)?.value.kind
    return kind === "scalar" || kind === "list"
  })

/** The sections of `~/.claude.json` for the folders of a project, nearest first. */
const localSections = (tree: Node, project: Project): ReadonlyArray<Section> =>
  project.folders.flatMap((folder) => {
    const path = ["projects", folder, "mcpServers"]
    const node = nodeAt(tree, path)
    return node === undefined ? [] : [{ scope: "local" as const, path, node }]
  })

/** The definitions by name of a file. */
const sectionsOf = (file: File, project: Project): {
  readonly sections: ReadonlyArray<Section>
  readonly problems: ReadonlyArray<ConfigProblem>
} => {
  const { client, positionOf, scope, source, tree } = file
  const { isSettings, roots } = clients[client]
  const locals = client === "claude-code" && scope !== "project" ? localSections(tree, project) : []
  const found = roots.flatMap((path) => {
    const node = nodeAt(tree, path)
    return node === undefined || path.length > 1 && isDefinition(node) ? [] : [{ scope, path, node }]
  })
  const [section, other] = found
  if (section === undefined) {
    const isOptional = isSettings || scope === "user" || locals.length > 0 ||
      tree.kind === "object" && tree.members.length === 0
    const keys = roots.map((path) => JSON.stringify(path.join("."))).join(" or ")
    const expected = `an object with server definitions by name under ${keys}`
    const position = positionOf(tree.offset)
    return {
      sections: locals,
      problems: isOptional ? [] : [new InvalidDocument({ source, path: [], expected, position })]
    }
  }
  if (other !== undefined && other.path.length === 1 && section.path.length === 1) {
    const keys = [section, other].map(({ path }) => path.join("."))
    const position = positionOf(tree.offset)
    return { sections: [], problems: [new ConflictingKeys({ source, path: [], keys, position })] }
  }
  return { sections: [...locals, section], problems: [] }
}

/** Keys of our own files beside the definitions. */
const ownKeys = ["$schema", "inputs", "mcpServers", "servers"]

const unknownKeysOf = ({ client, positionOf, source, tree }: File): ReadonlyArray<ConfigProblem> =>
  client !== "mcp-sessions" || tree.kind !== "object" ? [] : tree.members
    .filter(({ key }) => !ownKeys.includes(key))
    .map(({ key, offset }) =>
      new UnknownKey({ source, path: [key], key, validNames: ownKeys, position: positionOf(offset) })
    )

const entryOf = (options: {
  readonly client: Client
  readonly file: File
  readonly section: Section
  readonly member: Member
}): Entry | undefined => {
  const { client, file, member: { key, offset, value }, section } = options
  const { source } = file
  const path = [...section.path, key]
  const written = valueOf(value)
  const isObject = Predicate.isObject(written)
  const content = isObject ? written as Readonly<Record<string, unknown>> : {}
  if (isObject && client.isProvided?.(content) === true) return undefined
  const place = { source, server: key, path }
  const draft = normalise({ client, isStrict: file.client === "mcp-sessions", entry: content, place })
  const faults = keyFaultsOf(value, path).map((fault) => keyProblem({ fault, document: file, server: key }))
  return {
    file,
    scope: section.scope,
    name: key,
    path,
    offset,
    written,
    draft,
    problems: [
      ...(isBlank(key) ? [new InvalidValue({ ...place, expected: "a name with visible characters" })] : []),
      ...(isObject ? [] : [new InvalidValue({ ...place, expected: "an object" })]),
      ...faults,
      ...draft.problems
    ],
    isDisabled: draft.raw.disabled === true || draft.raw.enabled === false
  }
}

/** How many servers a file may define. */
const entryLimit = 10_000

/** A name is what users write to choose a server. */
const isBlank = (name: string): boolean => name.trim() === ""

/** The entries of a section. A name that occurs twice is one entry, with that problem. */
const entriesOf = (file: File, section: Section): FileEntries => {
  const { positionOf, source } = file
  const { node, path } = section
  if (node.kind !== "object") {
    const expected = "an object of server definitions by name"
    const problem = new InvalidValue({ source, path, expected, position: positionOf(node.offset) })
    return { file, entries: [], problems: [problem] }
  }
  if (node.members.length > entryLimit) {
    const expected = `an object of at most ${entryLimit} server definitions`
    const problem = new InvalidValue({ source, path, expected, position: positionOf(node.offset) })
    return { file, entries: [], problems: [problem] }
  }
  const client = clients[file.client]
  const faults = new Map<string, Array<KeyFault>>()
  const keysAlone = { ...node, members: node.members.map((member) => ({ ...member, value: leaf })) }
  for (const fault of keyFaultsOf(keysAlone, path)) {
    const key = String(fault.path.at(-1))
    faults.set(key, [...faults.get(key) ?? [], fault])
  }
  const names = new Map(node.members.map((member) => [member.key, member]))
  const entries = Array.from(names.values(), (member) => {
    const entry = entryOf({ client, file, section, member })
    const own = (faults.get(member.key) ?? []).map((fault) => keyProblem({ fault, document: file, server: member.key }))
    return entry === undefined ? [] : [{ ...entry, problems: [...own, ...entry.problems] }]
  })
  return { file, entries: entries.flat(), problems: [] }
}

const leaf: Node = { kind: "scalar", offset: 0, value: null }

/** Whether one of two paths leads through the other. */
const meets = (a: Path, b: Path): boolean => a.slice(0, b.length).every((key, index) => key === b[index])

/** Finds the entries of a document. */
export const fileEntries = (source: Source, document: Document, project: Project): FileEntries => {
  const client = source.client ?? clientOf(document.path, document.tree)
  const declared = inputsOf(document)
  const file: File = { ...document, client, scope: source.scope, folder: source.folder, inputs: declared.inputs }
  const { problems, sections } = sectionsOf(file, project)
  // Other parts of a settings file are the program's own affair.
  const above = keyFaultsOf(document.tree, []).filter((fault) =>
    sections.some(({ path }) => fault.path.length <= path.length && meets(fault.path, path))
  ).map((fault) => keyProblem({ fault, document: file }))
  const found = sections.map((section) => entriesOf(file, section))
  return {
    file,
    entries: found.flatMap(({ entries }) => entries),
    problems: [
      ...problems,
      ...above,
      ...(problems.length === 0 ? unknownKeysOf(file) : []),
      ...(client === "mcp-sessions" || client === "vscode" ? declared.problems : []),
      ...found.flatMap(({ problems }) => problems)
    ]
  }
}
