/**
 * Patterns of tools: `server/tool`, where `*` stands for any characters. A pattern without a slash stands for all tools of a server.
 */
import type { ToolPlace } from "./toolNames.ts"

export interface ToolPattern {
  readonly server: string
  readonly tool: string
}

/** Splits a pattern at its first slash: names of tools may have slashes. */
export const parse = (pattern: string): ToolPattern => {
  const slash = pattern.indexOf("/")
  return slash < 0
    ? { server: pattern, tool: "*" }
    : { server: pattern.slice(0, slash), tool: pattern.slice(slash + 1) }
}

/** Whether a text matches a pattern. Takes at most the product of both lengths. */
export const isMatch = ({ pattern, text }: { readonly pattern: string; readonly text: string }): boolean => {
  let at = 0
  let star = -1
  let resume = 0
  let next = 0
  while (at < text.length) {
    if (pattern[next] === "*") {
      star = next++
      resume = at
    } else if (next < pattern.length && pattern[next] === text[at]) {
      next++
      at++
    } else if (star >= 0) {
      next = star + 1
      at = ++resume
    } else return false
  }
  while (pattern[next] === "*") next++
  return next === pattern.length
}

/** Whether a tool matches one of the patterns. */
export const matches = (
  { patterns, place }: { readonly patterns: ReadonlyArray<ToolPattern>; readonly place: ToolPlace }
): boolean =>
  patterns.some(({ server, tool }) =>
    isMatch({ pattern: server, text: place.server }) && isMatch({ pattern: tool, text: place.tool })
  )
