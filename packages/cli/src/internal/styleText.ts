/**
 * Colours of text.
 */
import { styleText as format } from "node:util"

export type Style = Parameters<typeof format>[0]

/** Colours text, also for a stream of another process. */
export const styleText = (...[style, text]: readonly [style: Style, text: string]): string =>
  format(style, text, { validateStream: false })
