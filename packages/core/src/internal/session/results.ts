/**
 * Results of operations: checks of their outer shape, as far as programs rely on it without looking.
 */
import * as Exit from "effect/Exit"
import * as Predicate from "effect/Predicate"
import type { CallToolResult, Completion, GetPromptResult, ReadResourceResult } from "../../Mcp.ts"
import { InvalidResult, type Reason } from "../../SessionError.ts"

const isListOf = (value: unknown, isItem: (item: unknown) => boolean): boolean =>
  Array.isArray(value) && value.every(isItem)

const hasText = (value: unknown, key: string): boolean =>
  Predicate.isObject(value) && Predicate.isString((value as Record<string, unknown>)[key])

const decoder = <A>(method: string, expected: string, isValid: (result: Record<string, unknown>) => boolean) => {
  const invalid: Exit.Exit<A, Reason> = Exit.fail(
    new InvalidResult({ method, description: `the result of ${method} is not ${expected}` })
  )
  return (result: unknown): Exit.Exit<A, Reason> =>
    Predicate.isObject(result) && isValid(result as Record<string, unknown>) ? Exit.succeed(result as A) : invalid
}

export const decodeToolResult = decoder<CallToolResult>(
  "tools/call",
  "a tool result: a list of content blocks with types",
  ({ content }) => isListOf(content, (block) => hasText(block, "type"))
)

export const decodeResourceResult = decoder<ReadResourceResult>(
  "resources/read",
  "a list of contents",
  ({ contents }) => isListOf(contents, Predicate.isObject)
)

export const decodePromptResult = decoder<GetPromptResult>(
  "prompts/get",
  "a list of messages",
  ({ messages }) => isListOf(messages, Predicate.isObject)
)

const decodeCompleteResult = decoder<{ readonly completion: Completion }>(
  "completion/complete",
  "a list of values",
  ({ completion }) =>
    Predicate.isObject(completion) && isListOf((completion as Record<string, unknown>).values, Predicate.isString)
)

export const decodeCompletion = (result: unknown): Exit.Exit<Completion, Reason> =>
  Exit.map(decodeCompleteResult(result), ({ completion }) => completion)
