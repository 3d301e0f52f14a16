/**
 * Views of tools and of results: bounded, and without anything that a browser would load or run.
 */
import type { Tool } from "@mcp-sessions/core/Mcp"
import * as Exit from "effect/Exit"
import * as Predicate from "effect/Predicate"
import * as exactNumbers from "../exactNumbers.ts"
import type { RpcError } from "../gateway/protocol/rpc.ts"
import { textOrEmpty } from "../textOrEmpty.ts"
import { cut } from "./text.ts"
import type { BlockView, ResultView, ToolView } from "./views.ts"

const toolLimit = 1000
const descriptionLimit = 4000
const schemaLimit = 64 * 1024
/** How much of a list of tools is sent, in characters of schemas. */
const schemasLimit = 2 * 1024 ** 2

const blockLimit = 100
const textLimit = 100_000
const imageLimit = 2 * 1024 ** 2
const imageTypes: ReadonlySet<unknown> = new Set(["image/png", "image/jpeg", "image/gif", "image/webp"])
const messageLimit = 4000

export const toolViews = (tools: ReadonlyArray<Tool>): ReadonlyArray<ToolView> => {
  let room = schemasLimit
  return tools.slice(0, toolLimit).map(({ annotations, description, inputSchema, name, title }) => {
    const size = JSON.stringify(inputSchema).length
    const fits = size <= schemaLimit && size <= room
    if (fits) room -= size
    return {
      name,
      title: title ?? annotations?.title,
      description: description === undefined ? undefined : cut(description, descriptionLimit),
      schema: fits ? inputSchema : undefined,
      isReadOnly: annotations?.readOnlyHint === true,
      isDestructive: annotations?.readOnlyHint !== true && annotations?.destructiveHint === true
    }
  })
}

const cutBlock = (type: "json" | "text", text: string): BlockView => ({
  type,
  text: cut(text, textLimit),
  isCut: text.length > textLimit
})

const asJson = (value: unknown): BlockView => cutBlock("json", exactNumbers.stringify(value, 2) ?? "null")

const blockView = (block: unknown): BlockView => {
  if (!Predicate.isObject(block)) return asJson(block)
  const { data, mimeType, text, type } = block as Readonly<Record<string, unknown>>
  if (type === "text" && Predicate.isString(text)) return cutBlock("text", text)
  if (type === "image" && Predicate.isString(data) && Predicate.isString(mimeType)) {
    if (!imageTypes.has(mimeType)) return { type: "note", text: `an image of the type ${cut(mimeType, 100)}` }
    if (data.length > imageLimit || !/^[A-Za-z\d+/]*={0,2}$/.test(data)) {
      return { type: "note", text: `an image of ${data.length} characters` }
    }
    return { type: "image", mimeType, data }
  }
  if (type === "audio" && Predicate.isString(data)) return { type: "note", text: `audio of ${data.length} characters` }
  return asJson(block)
}

/** The blocks of a result: its content, and its structured content. */
const blocksOf = (result: unknown): ReadonlyArray<BlockView> => {
  if (!Predicate.isObject(result)) return [asJson(result)]
  const { content, structuredContent } = result as Readonly<Record<string, unknown>>
  const blocks = Array.isArray(content) ? content as ReadonlyArray<unknown> : []
  let images = imageLimit
  const views = blocks.slice(0, blockLimit).map((block): BlockView => {
    const view = blockView(block)
    if (view.type !== "image") return view
    images -= view.data.length
    return images < 0 ? { type: "note", text: "one more image" } : view
  })
  return [
    ...views,
    ...(blocks.length > blockLimit
      ? [{ type: "note", text: `${blocks.length - blockLimit} more blocks` } as const]
      : []),
    ...(structuredContent === undefined ? [] : [asJson(structuredContent)])
  ]
}

/** How far a call got, by its error. An error without data of the gateway is one that the server answered with. */
const failureOf = (error: RpcError): Pick<ResultView, "delivery" | "message" | "reason"> => {
  const data = Predicate.isObject(error.data) ? error.data as Readonly<Record<string, unknown>> : {}
  const isOwn = Predicate.isString(data.reason) && Predicate.isString(data.delivery)
  return {
    delivery: isOwn ? textOrEmpty(data.delivery) : "Answered",
    reason: isOwn ? textOrEmpty(data.reason) : `JSON-RPC ${error.code}`,
    message: cut(error.message, messageLimit)
  }
}

export const resultView = (exit: Exit.Exit<unknown, RpcError>, duration: number): ResultView => {
  if (Exit.isSuccess(exit)) {
    const isError = Predicate.isObject(exit.value) && "isError" in exit.value && exit.value.isError === true
    return {
      outcome: isError ? "ToolError" : "Succeeded",
      delivery: "Answered",
      reason: undefined,
      message: undefined,
      blocks: blocksOf(exit.value),
      duration
    }
  }
  const failure = Exit.findErrorOption(exit)
  return failure._tag === "Some"
    ? { outcome: "Failed", ...failureOf(failure.value), blocks: [], duration }
    : { outcome: "Cancelled", delivery: "Unknown", reason: undefined, message: undefined, blocks: [], duration }
}
