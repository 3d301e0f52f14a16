/**
 * Shows pictures in terminals that can: by the protocols of kitty and of iTerm2.
 *
 * @see https://sw.kovidgoyal.net/kitty/graphics-protocol/
 * @see https://iterm2.com/documentation-images.html
 * @since 0.1.0
 */
import * as Base64 from "effect/encoding/Base64"
import type { Attachment } from "./Attachment.ts"
import type { Invocation } from "./Invocation.ts"

type Protocol = "kitty" | "iterm"

/** The largest picture that is shown, in bytes. */
const sizeLimit = 8 * 1024 * 1024

/** How much data one escape sequence of kitty holds, in characters. */
const chunkSize = 4096

/** Finds the protocol that the terminal says it knows. Multiplexers do not pass pictures on. */
const protocolOf = ({ environment, stdout }: Invocation["Service"]): Protocol | undefined => {
  const { KITTY_WINDOW_ID, LC_TERMINAL, STY, TERM = "", TERM_PROGRAM = "", TMUX } = environment
  if (!stdout.isTerminal || TMUX !== undefined || STY !== undefined || /^(?:screen|tmux|dumb)/.test(TERM)) {
    return undefined
  }
  if (KITTY_WINDOW_ID !== undefined || /kitty|ghostty/.test(TERM) || TERM_PROGRAM === "ghostty") return "kitty"
  return ["iTerm.app", "WezTerm"].includes(TERM_PROGRAM) || LC_TERMINAL === "iTerm2" ? "iterm" : undefined
}

const kitty = (data: string): string => {
  const chunks = data.match(new RegExp(`.{1,${chunkSize}}`, "g")) ?? []
  return chunks.map((chunk, index) =>
    `\u001b_G${index === 0 ? "f=100,a=T,q=2," : ""}m=${index === chunks.length - 1 ? 0 : 1};${chunk}\u001b\\`
  ).join("")
}

const iterm = (data: string, size: number): string =>
  `\u001b]1337;File=inline=1;preserveAspectRatio=1;size=${size}:${data}\u0007`

/** The kinds of pictures that each protocol shows. */
const kinds: Readonly<Record<Protocol, ReadonlyArray<string>>> = {
  kitty: ["image/png"],
  iterm: ["image/png", "image/jpeg", "image/gif"]
}

/**
 * Encodes a picture as escape sequences for the terminal of an invocation. `undefined` if stdout is no terminal, or none that shows it.
 *
 * @category rendering
 * @since 0.1.0
 */
export const encode = (options: {
  readonly attachment: Attachment
  readonly invocation: Invocation["Service"]
}): string | undefined => {
  const { attachment: { data, mimeType }, invocation } = options
  const protocol = protocolOf(invocation)
  if (protocol === undefined || mimeType === undefined || !kinds[protocol].includes(mimeType.toLowerCase())) {
    return undefined
  }
  if (data.length === 0 || data.length > sizeLimit) return undefined
  // Only letters of base64 reach the terminal.
  const text = Base64.encode(data)
  return protocol === "kitty" ? kitty(text) : iterm(text, data.length)
}
