/**
 * Reads files that have an end.
 */
import * as Effect from "effect/Effect"
import { Buffer } from "node:buffer"
import { constants, promises as fs, type Stats } from "node:fs"
import { resolve } from "node:path"

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
): Promise<{ readonly text: string } | { readonly refusal: string }> => {
  const irregular = { refusal: `expected a regular file, not a pipe, a device or a directory: ${path}` }
  const isRegular = (stats: Stats) => stats.isFile()
  const limit = mebibytes * 1024 * 1024
  if (!isRegular(await fs.stat(path))) return irregular
  // Opening a pipe would wait for its writer, should it have taken the place of the file meanwhile.
  const file = await fs.open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0))
  try {
    if (!isRegular(await file.stat())) return irregular
    const bytes = await readUpTo(file, limit)
    return bytes.length > limit
      ? { refusal: `expected at most ${mebibytes} MiB: ${path}` }
      : { text: bytes.toString("utf8") }
  } finally {
    await file.close()
  }
}

/** Says what the system has against a path. */
const refusalOf = (error: unknown, path: string): string => {
  const code = error instanceof Error && "code" in error ? String(error.code) : "unknown error"
  switch (code) {
    case "ENOENT":
    case "ENOTDIR":
      return `no such file: ${path}`
    case "EACCES":
    case "EPERM":
      return `no permission to read the file: ${path}`
    default:
      return `the file cannot be read (${code}): ${path}`
  }
}

/**
 * Reads a regular file of at most so many MiB as text. Fails with what is wrong with it, and its absolute path. Never waits for another process.
 */
export const readRegularFile = ({ directory, mebibytes, path }: {
  /** The directory that a relative path starts from. */
  readonly directory: string
  readonly path: string
  readonly mebibytes: number
}): Effect.Effect<string, string> =>
  Effect.suspend(() => {
    const absolute = resolve(directory, path)
    return Effect.flatMap(
      Effect.tryPromise({ try: () => read(absolute, mebibytes), catch: (error) => refusalOf(error, absolute) }),
      (outcome) => "text" in outcome ? Effect.succeed(outcome.text) : Effect.fail(outcome.refusal)
    )
  })
