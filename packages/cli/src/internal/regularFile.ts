/**
 * Reads files that the words of a command name.
 */
import type { FileRefused } from "@mcp-sessions/core/Host"
import * as NodeHost from "@mcp-sessions/transports/NodeHost"
import * as Effect from "effect/Effect"

const host = NodeHost.make()

interface RegularFile {
  /** The directory that a relative path starts from. */
  readonly directory: string
  readonly path: string
  /** The largest size. */
  readonly mebibytes: number
}

/** Reads a regular file as text. Never waits for another process. */
export const readRegular = ({ directory, mebibytes, path }: RegularFile): Effect.Effect<string, FileRefused> =>
  host.readFile(host.resolve(directory, path), mebibytes * 1024 ** 2)

/** Reads a file as {@link readRegular} does. Fails with a text that describes the problem and has the absolute path. */
export const readRegularFile = (file: RegularFile): Effect.Effect<string, string> =>
  Effect.mapError(readRegular(file), ({ message }) => message)
