/**
 * Reads files that have an end.
 */
import { FileRefused } from "@mcp-sessions/core/Host"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { Buffer, isUtf8 } from "node:buffer"
import { constants, promises as fs, type Stats } from "node:fs"

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

const read = async (path: string, limit: number): Promise<Result.Result<string, FileRefused>> => {
  const irregular = Result.fail(new FileRefused({ path, reason: "Irregular" }))
  const isRegular = (stats: Stats) => stats.isFile()
  if (!isRegular(await fs.stat(path))) return irregular
  // Opening a pipe would wait for its writer, should it have taken the place of the file meanwhile.
  const file = await fs.open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0))
  try {
    if (!isRegular(await file.stat())) return irregular
    const bytes = await readUpTo(file, limit)
    // UTF-16 has NUL characters in place of ASCII ones.
    return bytes.length > limit
      ? Result.fail(new FileRefused({ path, reason: "TooLarge", limit }))
      : isUtf8(bytes) && !bytes.includes(0)
      ? Result.succeed(bytes.toString("utf8"))
      : Result.fail(new FileRefused({ path, reason: "NotText" }))
  } finally {
    await file.close()
  }
}

/** The error of the system as a refusal. */
const refusalOf = (error: unknown, path: string): FileRefused => {
  const code = error instanceof Error && "code" in error ? String(error.code) : undefined
  switch (code) {
    case "ENOENT":
    case "ENOTDIR":
      return new FileRefused({ path, reason: "Missing" })
    case "EACCES":
    case "EPERM":
      return new FileRefused({ path, reason: "Denied" })
    default:
      return new FileRefused({ path, reason: "Unreadable", code })
  }
}

/** Reads a regular file of at most so many bytes as text. Never waits for another process. */
export const readFile = (path: string, byteLimit: number): Effect.Effect<string, FileRefused> =>
  Effect.tryPromise({ try: () => read(path, byteLimit), catch: (error) => refusalOf(error, path) }).pipe(
    Effect.flatMap(Effect.fromResult)
  )
