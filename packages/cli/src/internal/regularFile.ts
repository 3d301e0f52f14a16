/**
 * Reads files that have an end.
 */
import * as Effect from "effect/Effect"
import { Buffer } from "node:buffer"
import { constants, promises as fs, type Stats } from "node:fs"

/** Why a file is not read, for "expected …". */
export type Refusal =
  | "a readable file"
  | "a regular file, not a pipe, a device or a directory"
  | `at most ${number} MiB`

const readUpTo = async (file: fs.FileHandle, limit: number): Promise<Buffer> => {
  const chunks: Array<Buffer> = []
  let size = 0
  while (size <= limit) {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(64 * 1024))
    if (bytesRead === 0) break
    chunks.push(buffer.subarray(0, bytesRead))
    size += bytesRead
  }
  return Buffer.concat(chunks)
}

const read = async (
  path: string,
  mebibytes: number
): Promise<{ readonly text: string } | { readonly refusal: Refusal }> => {
  const irregular = { refusal: "a regular file, not a pipe, a device or a directory" } as const
  const isRegular = (stats: Stats) => stats.isFile()
  const limit = mebibytes * 1024 * 1024
  if (!isRegular(await fs.stat(path))) return irregular
  // Opening a pipe would wait for its writer, should it have taken the place of the file meanwhile.
  const file = await fs.open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0))
  try {
    if (!isRegular(await file.stat())) return irregular
    const bytes = await readUpTo(file, limit)
    return bytes.length > limit ? { refusal: `at most ${mebibytes} MiB` } : { text: bytes.toString("utf8") }
  } finally {
    await file.close()
  }
}

/** Reads a regular file of at most so many MiB as text. Fails with what was expected of it. Never waits for another process. */
export const readRegularFile = (
  ...[path, mebibytes]: readonly [path: string, mebibytes: number]
): Effect.Effect<string, Refusal> =>
  Effect.flatMap(
    Effect.tryPromise({ try: () => read(path, mebibytes), catch: (): Refusal => "a readable file" }),
    (outcome) => "text" in outcome ? Effect.succeed(outcome.text) : Effect.fail(outcome.refusal)
  )
