/**
 * Ends this process once all that it has printed is written.
 */
import process from "node:process"

/** The streams that were destroyed, which Node does not show: they can be written to again, and what they were given before is lost. */
const destroyed = new Set<NodeJS.WriteStream>()
for (const stream of [process.stdout, process.stderr]) stream.once("close", () => destroyed.add(stream))

/** Resolves once a stream has written what it was given, or cannot write any more. */
const written = (stream: NodeJS.WriteStream): Promise<void> =>
  destroyed.has(stream) || stream.destroyed || stream.writableLength === 0
    ? Promise.resolve()
    : new Promise((resolve) => {
      stream.once("close", resolve)
      stream.write("", () => resolve())
    })

/**
 * Ends the process with a status. `process.exit` drops what a pipe has not taken yet, so a slow reader is waited for; a signal does not wait.
 */
export const endProcess = async (status: number): Promise<never> => {
  await Promise.all([written(process.stdout), written(process.stderr)])
  process.exit(status)
}
