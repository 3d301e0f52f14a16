/**
 * Whether files have changed.
 */
import * as Fs from "node:fs"

const stampOf = (file: string): string => {
  const stats = Fs.statSync(file, { throwIfNoEntry: false })
  return stats === undefined ? "missing" : [stats.ino, stats.size, stats.mtimeMs].join(" ")
}

/** Remembers files as they are now. The returned function tells whether they still are. */
export const watchStamps = (files: ReadonlyArray<string>): () => boolean => {
  const stamps = files.map(stampOf)
  return () => files.every((file, index) => stampOf(file) === stamps[index])
}
