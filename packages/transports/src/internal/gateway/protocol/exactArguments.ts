/**
 * Arguments of tools with numbers that JavaScript cannot hold, such as identifiers of 64 bits: they reach the server digit by digit.
 */
import type { JSONRPCMessage } from "@modelcontextprotocol/client"
import * as Predicate from "effect/Predicate"
import { mayBeInexact, parseRaw } from "../../exactNumbers.ts"

type Params = Readonly<Record<string, unknown>>

const paramsOf = (message: unknown): Params | undefined => {
  const params = Predicate.isObject(message) ? (message as { readonly params?: unknown }).params : undefined
  return Predicate.isObject(params) ? params as Params : undefined
}

/** Gives calls in messages the arguments that their text has. Costs a look at the text, unless it may have such numbers. */
export const withExactArguments = (
  messages: ReadonlyArray<JSONRPCMessage>,
  text: string
): ReadonlyArray<JSONRPCMessage> => {
  if (!mayBeInexact(text)) return messages
  const raw = parseRaw(text)
  const values: ReadonlyArray<unknown> = Array.isArray(raw) ? raw : [raw]
  if (values.length !== messages.length) return messages
  return messages.map((message, at) => {
    const params = paramsOf(message)
    const exact = paramsOf(values[at])
    return params?.arguments === undefined || exact === undefined
      ? message
      : { ...message, params: { ...params, arguments: exact.arguments } } as JSONRPCMessage
  })
}
