/**
 * URI templates (RFC 6570), as far as a gateway needs them: which template a URI may come from.
 *
 * Only the literal parts are compared, in their order. Servers choose templates and clients URIs, so a match takes linear time.
 *
 * @see https://www.rfc-editor.org/rfc/rfc6570
 */

/** Splits a template into the texts around its expressions. */
export const literalsOf = (template: string): ReadonlyArray<string> => template.split(/\{[^{}]*\}/)

/** Whether a URI may come from the template with these literal parts. */
export const isFrom = (
  { literals, uri }: { readonly literals: ReadonlyArray<string>; readonly uri: string }
): boolean => {
  const [first = "", ...others] = literals
  const last = others.pop()
  if (last === undefined) return uri === first
  if (!uri.startsWith(first) || !uri.endsWith(last) || uri.length < first.length + last.length) return false
  const end = uri.length - last.length
  let at = first.length
  for (const literal of others) {
    const found = uri.indexOf(literal, at)
    if (found < 0 || found + literal.length > end) return false
    at = found + literal.length
  }
  return true
}
