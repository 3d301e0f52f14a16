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
const braced = String.raw`\$\$\{|\$\{([^}]*)\}|\{env:([A-Za-z_]\w*)\}`

const forms = {
  braced: new RegExp(braced, "g"),
  /** With `$NAME`, and `$$NAME` for the text `$NAME`. */
  bare: new RegExp(String.raw`${braced}|\$\$(?=[A-Za-z_])|\$([A-Za-z_]\w*)`, "g")
}

/** Splits a template into its parts. */
export const parse = (text: string, form: keyof typeof forms): ReadonlyArray<Part> => {
  const parts: Array<Part> = []
  let end = 0
  for (const match of text.matchAll(forms[form])) {
    const [whole, inside, named, bare] = match
    const name = named ?? bare
    if (match.index > end) parts.push({ kind: "text", text: text.slice(end, match.index) })
    parts.push(
      inside !== undefined
        ? referenceOf(inside)
        : name !== undefined
        ? { kind: "variable", name, fallback: undefined }
        : { kind: "text", text: whole.slice(1) }
    )
    end = match.index + whole.length
  }
  if (end < text.length) parts.push({ kind: "text", text: text.slice(end) })
  return parts
}
