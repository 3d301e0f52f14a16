/**
 * Finds the beginning of a secret where a text was cut: before an ellipsis, and at the end of the text.
 */
import type { Span } from "./quotedSecret.ts"

/** How much of a secret is taken for a secret that was cut off, at least and at most. */
const shortestCut = 6
const longestCut = 512

/** Returns for each length of a beginning of the text the longest shorter beginning that also ends it, as Knuth, Morris and Pratt do. */
const bordersOf = (text: string): ReadonlyArray<number> => {
  const borders = [0, 0]
  let length = 0
  for (let at = 1; at < text.length; at++) {
    while (length > 0 && text[at] !== text[length]) length = borders[length] ?? 0
    if (text[at] === text[length]) length++
    borders.push(length)
  }
  return borders
}

/** Makes a function that finds the beginnings of a secret in a text, both in lower case. Its time is linear in the length of the text. */
export const cutFinderOf = (secret: string): (text: string) => ReadonlyArray<Span> => {
  const form = secret.slice(0, longestCut)
  const start = form.slice(0, shortestCut)
  let borders: ReadonlyArray<number> | undefined
  return (text) => {
    let from = start.length < shortestCut ? -1 : text.indexOf(start)
    if (from < 0) return []
    const known = borders ??= bordersOf(form)
    const spans: Array<Span> = []
    let length = 0
    for (const { index: end } of text.matchAll(/…|\.{3}|$/g)) {
      for (; from < end; from++) {
        while (length > 0 && text[from] !== form[length]) length = known[length] ?? 0
        if (text[from] === form[length]) length++
      }
      if (length >= shortestCut) spans.push([end - length, end])
    }
    return spans
  }
}
