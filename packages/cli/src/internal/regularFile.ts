/**
 * Reads files that the words of a command name.
 */
import * as NodeHost from "@mcp-sessions/transports/NodeHost"
import * as Effect from "effect/Effect"

const host = NodeHost.make()

/**
 * Reads a regular file of at most so many MiB as text. Fails with what is wrong with it, and its absolute path. Never waits for another process.
 */
export const readRegularFile = ({ directory, mebibytes, path }: {
  /** The directory that a relative path starts from. */
  readonly directory: string
  readonly path: string
  readonly mebibytes: number
}): Effect.Effect<string, string> =>
  Effect.mapError(host.readFile(host.resolve(directory, path), mebibytes * 1024 ** 2), ({ message }) => message)
