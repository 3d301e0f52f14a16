/**
 * What the standard streams of this process can show. Loads nothing but Node.
 */
import process from "node:process"
import type { WriteStream } from "node:tty"

const { env } = process

/** Whether a stream is a terminal that shows colours, and the user wants them. */
export const hasColours = (stream: WriteStream): boolean =>
  Boolean(stream.isTTY) && stream.hasColors() && (env.NO_COLOR ?? "") === ""

/** Reads the error of a write: its code of the system; `undefined` after a success. */
export const codeOf = (error: Error | null | undefined): string | undefined =>
  error === null || error === undefined ? undefined : "code" in error ? String(error.code) : error.name

/** The size of a terminal. One without a size says 0; any other stream says nothing. */
export const sizeOf = (stream: WriteStream): { readonly columns: number; readonly rows: number } => ({
  columns: stream.columns > 0 ? stream.columns : 80,
  rows: stream.rows > 0 ? stream.rows : 24
})
