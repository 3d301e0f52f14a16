/**
 * Results of operations: checks of their outer shape, as far as programs rely on it without looking.
 *
 * The result of a tool has a price: the tool has run. It is passed on as far as it can be typed: blocks of any type, also of none,
 * and with members missing.
 */
import * as Exit from "effect/Exit"
import * as Predicate from "effect/Predicate"
import type { CallToolResult, Completion, GetPromptResult, ReadResourceResult } from "../../Mcp.ts"
import { InvalidResult, type Reason } from "../../SessionError.ts"
import { isTooDeep } from "../jsonDepth.ts"

const isListOf = (value: unknown, isItem: (item: unknown) => boolean): boolean =>
  Array.isArray(value) && value.every(isItem)

const invalid = <A>(method: string, expected: string): Exit.Exit<A, Reason> =>
  Exit.fail(new InvalidResult({ method, description: `the result of ${method} is not ${expected}` }))

const decoder = <A>(method: string, expected: string, isValid: (result: Record<string, unknown>) => boolean) => {
  const failed = () => invalid<A>(method, expected)
  return (result: unknown): Exit.Exit<A, Reason> =>
    Predicate.isObject(result) && isValid(result as Record<string, unknown>) ? Exit.succeed(result as A) : failed()
}

/** Returns a block as an object. Text by itself is a text block, and so is the JSON of anything else. */
const blockOf = (block: unknown): unknown =>
  Predicate.isObject(block)
    ? block
    : { type: "text", text: typeof block === "string" ? block : JSON.stringify(block) }

const invalidToolResult = () => invalid<CallToolResult>("tools/call", "a tool result with a list of content blocks")

/** Decodes the result of a tool. Without content it has none: structured content alone is a result. */
export const decodeToolResult = (result: unknown): Exit.Exit<CallToolResult, Reason> => {
  if (!Predicate.isObject(result)) return invalidToolResult()
  const { content } = result as Record<string, unknown>
  if (isListOf(content, Predicate.isObject)) return Exit.succeed(result as CallToolResult)
  if (content === undefined || content === null) return Exit.succeed({ ...result, content: [] } as CallToolResult)
  return Array.isArray(content) && !content.some(isTooDeep)
    ? Exit.succeed({ ...result, content: content.map(blockOf) } as CallToolResult)
    : invalidToolResult()
}

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
