/**
 * Result: how a call from the form ended, and what the tool gave.
 */
import type { BlockView, ResultView } from "../src/internal/dashboard/views.ts"
import { meaningOf } from "./calls.ts"
import { element } from "./dom.ts"

const blockOf = (block: BlockView): HTMLElement => {
  switch (block.type) {
    case "image":
      return element("img", { src: `data:${block.mimeType};base64,${block.data}`, alt: "image of the result" })
    case "note":
      return element("p", { class: "dim" }, `not shown: ${block.text}`)
    case "text":
    case "json":
      return element(
        "div",
        {},
        element("pre", { class: block.type, tabindex: 0, "aria-label": `${block.type} of the result` }, block.text),
        block.isCut ? element("p", { class: "dim" }, "the rest is not shown") : undefined
      )
  }
}

const titles: Readonly<Record<ResultView["outcome"], string>> = {
  Succeeded: "Succeeded",
  ToolError: "The tool reports an error",
  Failed: "Failed",
  Cancelled: "Cancelled"
}

export const resultOf = ({ blocks, delivery, duration, message, outcome, reason }: ResultView): HTMLElement =>
  element(
    "div",
    {},
    element(
      "p",
      {},
      element("strong", {}, titles[outcome]),
      ` · ${meaningOf(delivery)} · ${duration} ms${reason === undefined ? "" : ` · ${reason}`}`
    ),
    message === undefined ? undefined : element("p", {}, message),
    delivery === "Unknown"
      ? element("p", { class: "warning" }, "The tool may have run. Check what it did before you call it again.")
      : undefined,
    ...blocks.map(blockOf)
  )
