/**
 * Templates: texts with variables. Parsed once; the values that are put in are never parsed again.
 */

/** One part of a template: text as it is, or a reference to a value. */
export type Part =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "variable"; readonly name: string; readonly fallback: string | undefined }
  | { readonly kind: "input"; readonly id: string }
  | { readonly kind: "place"; readonly name: PlaceName }
  | { readonly kind: "invalid" }

const placeNames = ["workspaceFolder", "workspaceFolderBasename", "userHome", "pathSeparator", "/"] as const

/** A value that depends on where the file is. */
export type PlaceName = (typeof placeNames)[number]

/** A name with an optional default. A default cannot contain variables: `}` would end it at the wrong place. */
const variableForm = /^(?:env:([^:]+)|([A-Za-z_]\w*))(?::-((?:(?!\$\{)[\s\S])*))?$/

const referenceOf = (inside: string): Part => {
  const place = placeNames.find((name) => name === inside)
  if (place !== undefined) return { kind: "place", name: place }
  if (inside.startsWith("input:") && inside.length > "input:".length) {
    return { kind: "input", id: inside.slice("input:".length) }
  }
  const [, prefixed, plain, fallback] = variableForm.exec(inside) ?? []
  const name = prefixed ?? plain
  return name === undefined ? { kind: "invalid" } : { kind: "variable", name, fallback }
}

/** `$${` is the text `${`. */
const escaped = String.raw`\$\$\{`
const reference = String.raw`\$\{([^}]*)\}|\{env:([A-Za-z_]\w*)\}`
/** `$NAME`, and `$$NAME` for the text `$NAME`. */
const bare = String.raw`\$\$(?=[A-Za-z_])|\$(?<bare>[A-Za-z_]\w*)`

/** `{file:path}`, which OpenCode replaces with the content of a file. */
const fileReference = String.raw`(?<file>\{file:[^}]*\})`

/**
 * The references of a program beside `${NAME}` and `{env:NAME}`: `bare` has `$NAME`, and `withFiles` has `{file:path}`, which is refused rather
 * than sent as it is written.
 */
export type ReferenceForm = "bare" | "braced" | "withFiles"

/** What is found up to the last closing brace, and after it: there nothing can be closed, and a search for the end would be repeated at every brace. */
const forms = {
  braced: { closed: new RegExp(`${escaped}|${reference}`, "g"), open: new RegExp(escaped, "g") },
  bare: { closed: new RegExp(`${escaped}|${reference}|${bare}`, "g"), open: new RegExp(`${escaped}|${bare}`, "g") },
  withFiles: { closed: new RegExp(`${escaped}|${reference}|${fileReference}`, "g"), open: new RegExp(escaped, "g") }
} satisfies Readonly<Record<ReferenceForm, object>>

const partsOf = (text: string, pattern: RegExp): ReadonlyArray<Part> => {
  const parts: Array<Part> = []
  let end = 0
  for (const match of text.matchAll(pattern)) {
    const [whole, inside, named] = match
    const name = named ?? match.groups?.bare
    if (match.index > end) parts.push({ kind: "text", text: text.slice(end, match.index) })
    const isReference = whole.startsWith("${")
    parts.push(
      match.groups?.file !== undefined
        ? { kind: "invalid" }
        : isReference
        ? referenceOf(inside ?? "")
        : name !== undefined
        ? { kind: "variable", name, fallback: undefined }
        : { kind: "text", text: whole.slice(1) }
    )
    end = match.index + whole.length
  }
  if (end < text.length) parts.push({ kind: "text", text: text.slice(end) })
  return parts
}

/** Splits a template into its parts, in time that is linear in its length. */
export const parse = (text: string, form: ReferenceForm): ReadonlyArray<Part> => {
  const { closed, open } = forms[form]
  const end = text.lastIndexOf("}") + 1
  return [...partsOf(text.slice(0, end), closed), ...partsOf(text.slice(end), open)]
}
