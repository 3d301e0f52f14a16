/**
 * What a reading of the configuration has found on the machine, and whether that still holds. Loads nothing but Node.
 */
import type { Buffer } from "node:buffer"
import { createHash } from "node:crypto"
import * as Fs from "node:fs"
import { dirname } from "node:path"
import process from "node:process"

/** One finding about one path. */
export type Fact =
  /** A regular file with this content. */
  | { readonly kind: "file"; readonly path: string; readonly sha256: string }
  /** There is no such file. */
  | { readonly kind: "missing"; readonly path: string }
  /** Something is there, and can be looked at. */
  | { readonly kind: "present"; readonly path: string }
  /** Nothing is there that can be looked at. */
  | { readonly kind: "absent"; readonly path: string }
  /** A record that the user trusts a file, which only this user can have written. */
  | { readonly kind: "trusted"; readonly path: string }

/** Returns the SHA-256 of a text in UTF-8, or of bytes, in hexadecimal digits. */
export const sha256Of = (content: string | Uint8Array): string => createHash("sha256").update(content).digest("hex")

/** Whether only this user can have written what the stats are of. */
export const isPrivate = ({ mode, uid }: Fs.Stats): boolean => uid === process.getuid?.() && (mode & 0o077) === 0

/**
 * Reads a regular file of at most so many bytes. Waits for no writer of a pipe. `check` refuses a file by its stats.
 */
export const readBytes = (
  ...[path, options]: readonly [
    path: string,
    options: {
      readonly limit: number
      readonly flags?: number | undefined
      readonly check?: ((stats: Fs.Stats) => boolean) | undefined
    }
  ]
): Buffer | undefined => {
  const { check, flags = 0, limit } = options
  let file: number | undefined
  try {
    file = Fs.openSync(path, Fs.constants.O_RDONLY | Fs.constants.O_NONBLOCK | flags)
    const stats = Fs.fstatSync(file)
    if (!stats.isFile() || stats.size > limit || check?.(stats) === false) return undefined
    return Fs.readFileSync(file)
  } catch {
    // What cannot be read is not what it was.
    return undefined
  } finally {
    if (file !== undefined) Fs.closeSync(file)
  }
}

/** The largest file that is read here, in bytes. A larger one is left to the ordinary reading. */
const fileLimit = 16 * 1024 ** 2

const isMissing = (path: string): boolean => {
  try {
    return Fs.statSync(path, { throwIfNoEntry: false }) === undefined
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "ENOTDIR"
  }
}

const isPresent = (path: string): boolean => {
  try {
    Fs.accessSync(path)
    return true
  } catch {
    return false
  }
}

const isTrusted = (path: string): boolean => {
  try {
    const [directory, record] = [Fs.statSync(dirname(path)), Fs.lstatSync(path)]
    return directory.isDirectory() && isPrivate(directory) && record.isFile() && isPrivate(record)
  } catch {
    // The record is gone.
    return false
  }
}

/**
 * Checks that all facts hold, and returns the texts of the files by the places of their facts. `undefined`: the machine has changed.
 */
export const textsOf = (facts: ReadonlyArray<Fact>): ReadonlyMap<number, string> | undefined => {
  const texts = new Map<number, string>()
  for (const [index, { path, ...fact }] of facts.entries()) {
    switch (fact.kind) {
      case "file": {
        const bytes = readBytes(path, { limit: fileLimit })
        if (bytes === undefined || sha256Of(bytes) !== fact.sha256) return undefined
        texts.set(index, bytes.toString("utf8"))
        break
      }
      case "missing":
        if (!isMissing(path)) return undefined
        break
      case "present":
        if (!isPresent(path)) return undefined
        break
      case "absent":
        if (isPresent(path)) return undefined
        break
      case "trusted":
        if (!isTrusted(path)) return undefined
        break
      default:
        return undefined
    }
  }
  return texts
}
