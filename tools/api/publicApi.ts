/**
 * Reads the public API of a package from its sources: modules, exports, members and their doc comments.
 *
 * An export that a module takes from an internal one is read where it is declared.
 */
import { globSync, readFileSync } from "node:fs"
import { basename, dirname, join } from "node:path"
import { parseSync } from "rolldown/utils"

interface Member {
  /** The path of the member, such as `Sessions.get`. */
  readonly name: string
  readonly comment: string | undefined
}

interface Export extends Member {
  readonly kind: string
  readonly members: ReadonlyArray<Member>
}

export interface Module extends Member {
  readonly package: string
  readonly file: string
  readonly source: string
  readonly exports: ReadonlyArray<Export>
}

/** A node of the syntax tree. Its other keys depend on its type. */
interface Node {
  readonly type: string
  readonly start: number
  readonly end: number
  readonly [key: string]: unknown
}

interface Source {
  readonly text: string
  readonly file: string
  readonly body: ReadonlyArray<Node>
  /** The doc comments, by the place of what follows each. */
  readonly comments: ReadonlyMap<number, string>
}

const root = join(import.meta.dirname, "../..")

const isNode = (value: unknown): value is Node => typeof value === "object" && value !== null && "type" in value

const nodesOf = (value: unknown): ReadonlyArray<Node> =>
  Array.isArray(value) ? value.filter(isNode) : isNode(value) ? [value] : []

const nameOf = (value: unknown): string => {
  const [node] = nodesOf(value)
  return String(node?.name ?? node?.value ?? "")
}

/** The text of a doc comment, without its stars. */
const plain = (comment: string): string =>
  comment.split("\n").map((line) => line.replace(/^\s*\* ?/, "")).join("\n").trim()

const sources = new Map<string, Source>()

const sourceOf = (file: string): Source => {
  const known = sources.get(file)
  if (known !== undefined) return known
  const text = readFileSync(join(root, file), "utf8")
  const { comments, errors, program } = parseSync(file, text)
  if (errors.length > 0) throw new Error(`${file}: ${errors[0]?.message}`)
  const docs = comments.filter(({ type, value }) => type === "Block" && value.startsWith("*"))
  const made = {
    text,
    file,
    body: program.body as unknown as ReadonlyArray<Node>,
    comments: new Map(docs.map(({ end, value }) => {
      // Other comments may stand between a doc comment and what it describes.
      const [gap = ""] = /^(?:\s|\/\/.*\n)*/.exec(text.slice(end)) ?? []
      return [end + gap.length, plain(value.slice(1))]
    }))
  }
  sources.set(file, made)
  return made
}

/** The types of a member and of what it is made of: the literals of intersections count, those of unions are alternatives. */
const literalsOf = (type: unknown): ReadonlyArray<Node> =>
  nodesOf(type).flatMap((node) =>
    node.type === "TSTypeLiteral" ? [node] : node.type === "TSIntersectionType" ? literalsOf(node.types) : []
  )

const membersOf = ({ nodes, owner, source }: {
  readonly nodes: ReadonlyArray<Node>
  readonly owner: string
  readonly source: Source
}): ReadonlyArray<Member> => {
  const seen = new Set<string>()
  return nodes.flatMap((node) => {
    const name = nameOf(node.key)
    if (name === "" || name === "_tag" || seen.has(name)) return []
    seen.add(name)
    return [{ name: `${owner}.${name}`, comment: source.comments.get(node.start) }]
  })
}

/** The literals of the type arguments of a call: the shape of a service. */
const shapesOf = (call: unknown): ReadonlyArray<Node> =>
  nodesOf(call).flatMap(({ callee, typeArguments }) => [
    ...nodesOf(typeArguments).flatMap(({ params }) => literalsOf(params)),
    ...shapesOf(callee)
  ])

const isInherited = (node: Node): boolean =>
  node.override === true || node.static === true || node.computed === true ||
  node.accessibility === "private" || nodesOf(node.key)[0]?.type === "PrivateIdentifier" ||
  nameOf(node.key) === "constructor"

interface Import {
  readonly name: string
  readonly from: string
}

const importsOf = ({ body }: Source): ReadonlyMap<string, Import> =>
  new Map(
    body.flatMap((node) =>
      node.type === "ImportDeclaration"
        ? nodesOf(node.specifiers).map((specifier) =>
          [nameOf(specifier.local), { name: nameOf(specifier.imported), from: nameOf(node.source) }] as const
        )
        : []
    )
  )

/** The members of an interface that a module declares or imports, with their comments. */
const interfaceMembers = (name: string, source: Source): ReadonlyArray<Member> => {
  const imported = importsOf(source).get(name)
  const file = imported === undefined ? undefined : fileOf(imported.from, source)
  if (imported !== undefined && file !== undefined) return interfaceMembers(imported.name, sourceOf(file))
  return source.body.map((node) => nodesOf(node.declaration)[0] ?? node).flatMap((node) =>
    node.type === "TSInterfaceDeclaration" && nameOf(node.id) === name
      ? membersOf({ nodes: nodesOf(nodesOf(node.body)[0]?.body), owner: "", source })
      : []
  )
}

/** The members of a class that are described where they are declared: not those that an interface describes for it. */
const classMembers = (node: Node, source: Source): ReadonlyArray<Node> => {
  const inherited = new Set(
    nodesOf(node.implements)
      .flatMap(({ expression }) => interfaceMembers(nameOf(expression), source))
      .flatMap(({ comment, name }) => comment === undefined ? [] : [name.slice(1)])
  )
  return nodesOf(nodesOf(node.body)[0]?.body).filter((member) =>
    !isInherited(member) && !inherited.has(nameOf(member.key))
  )
}

const kinds: Readonly<Record<string, string>> = {
  ClassDeclaration: "class",
  FunctionDeclaration: "function",
  TSInterfaceDeclaration: "interface",
  TSTypeAliasDeclaration: "type"
}

const declared = (options: {
  readonly node: Node
  readonly start: number
  readonly source: Source
}): ReadonlyArray<Export> => {
  const { node, source, start } = options
  const comment = source.comments.get(start)
  if (node.type === "VariableDeclaration") {
    return nodesOf(node.declarations).map(({ id, init }) => {
      const [value] = nodesOf(init)
      const isFunction = value?.type === "ArrowFunctionExpression" ||
        (value?.type === "CallExpression" && /^(Effect\.fn|Function\.dual|dual)/.test(source.text.slice(value.start)))
      return { name: nameOf(id), kind: isFunction ? "function" : "const", comment, members: [] }
    })
  }
  const name = nameOf(node.id)
  const [body] = nodesOf(node.body)
  const nodes = node.type === "TSInterfaceDeclaration"
    ? nodesOf(body?.body)
    : node.type === "TSTypeAliasDeclaration"
    ? literalsOf(node.typeAnnotation).flatMap(({ members }) => nodesOf(members))
    : node.type === "ClassDeclaration"
    ? [...shapesOf(node.superClass).flatMap(({ members }) => nodesOf(members)), ...classMembers(node, source)]
    : []
  return [{ name, kind: kinds[node.type] ?? node.type, comment, members: membersOf({ nodes, owner: name, source }) }]
}

/** The file that an import names, if it is one of this repository. */
const fileOf = (from: string, source: Source): string | undefined => {
  if (from.startsWith(".")) return join(dirname(source.file), from)
  const [, name, module] = /^@mcp-sessions\/(\w+)\/(.+)$/.exec(from) ?? []
  return name === undefined ? undefined : `packages/${name}/src/${module}.ts`
}

/** Reads what a module exports under a name. */
const exportOf = (file: string, name: string): ReadonlyArray<Export> =>
  exportsOf(file).filter((one) => one.name === name)

const found = new Map<string, ReadonlyArray<Export>>()

const exportsOf = (file: string): ReadonlyArray<Export> => {
  const known = found.get(file)
  if (known !== undefined) return known
  const source = sourceOf(file)
  const imports = importsOf(source)
  const exports = source.body.flatMap((node) => {
    if (node.type !== "ExportNamedDeclaration") return []
    const [declaration] = nodesOf(node.declaration)
    if (declaration !== undefined) return declared({ node: declaration, start: node.start, source })
    return nodesOf(node.specifiers).flatMap((specifier): ReadonlyArray<Export> => {
      const local = nameOf(specifier.local)
      const imported = isNode(node.source) ? { name: local, from: nameOf(node.source) } : imports.get(local)
      const own = source.comments.get(specifier.start)
      const name = nameOf(specifier.exported)
      const target = imported === undefined ? undefined : fileOf(imported.from, source)
      return (imported === undefined || target === undefined ? [] : exportOf(target, imported.name))
        .map((one) => ({ ...one, name, comment: own ?? one.comment }))
    })
  })
  // A schema and its type have one name: they are one entry, described by the first that has a comment.
  const merged = new Map<string, Export>()
  for (const one of exports) {
    if (one.comment?.includes("@internal") === true) continue
    const other = merged.get(one.name)
    merged.set(
      one.name,
      other === undefined
        ? one
        : { ...other, comment: other.comment ?? one.comment, members: [...other.members, ...one.members] }
    )
  }
  const all = [...merged.values()]
  found.set(file, all)
  return all
}

/** Reads the public modules of packages. */
export const publicModules = (packages: ReadonlyArray<string>): ReadonlyArray<Module> =>
  packages.flatMap((name) =>
    globSync(`packages/${name}/src/*.ts`, { cwd: root })
      .filter((file) => basename(file) !== "index.ts")
      .toSorted()
      .map((file) => {
        const { body, comments, text } = sourceOf(file)
        const [comment] = [...comments].find(([place]) => place <= (body[0]?.start ?? 0)) ?? []
        return {
          package: name,
          file,
          name: basename(file, ".ts"),
          source: text,
          comment: comment === undefined ? undefined : comments.get(comment),
          exports: exportsOf(file)
        }
      })
  )

/** The first sentence of a doc comment, on one line. Links become code. */
export const summaryOf = (comment: string | undefined): string => {
  const [first = ""] = (comment ?? "").split(/\n\n|\n@/, 1)
  const line = first.replaceAll(/\s*\n\s*/g, " ").replaceAll(/\{@link ([\w.]+)\}/g, "`$1`")
  return /^.*?\.(?= [A-Z`]|$)/.exec(line)?.[0] ?? line
}
