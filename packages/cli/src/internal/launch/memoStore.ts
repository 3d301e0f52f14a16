/**
 * The files of memos: a directory that only its user can read, with a key and one file for each memo. Loads nothing but Node.
 *
 * **Details**
 *
 * The name of a file is the keyed hash of what the memo is for, and its first line the keyed hash of the rest and of the name. What does not fit, or
 * could be of another user, is not there.
 */
import { Buffer } from "node:buffer"
import { createHmac, randomBytes, timingSafeEqual } from "node:crypto"
import * as Fs from "node:fs"
import { join } from "node:path"
import process from "node:process"
import { isPrivate, readBytes } from "./facts.ts"
import type { Memo } from "./memo.ts"

/** The largest memo, in bytes. */
const memoLimit = 256 * 1024

/** How many memos are kept. */
const countLimit = 256

const keyBytes = 32

/** How long the era of a server is taken from a memo, in milliseconds: a server may be updated. */
const eraAge = 24 * 60 * 60 * 1000

/** A memo, and whether it is new enough to say something about the server. */
interface Kept {
  readonly memo: Memo
  readonly isRecent: boolean
}

export class MemoStore {
  readonly #directory: string
  readonly #key: string

  private constructor(directory: string, key: string) {
    this.#directory = directory
    this.#key = key
  }

  /** Opens the directory. `undefined`: it is missing or could be of another user, or has no key. */
  static open(directory: string): MemoStore | undefined {
    if (process.getuid === undefined) return undefined
    if (!isPrivateDirectory(directory)) return undefined
    const key = readPrivate(join(directory, "key"))?.text
    return key?.length === 2 * keyBytes ? new MemoStore(directory, key) : undefined
  }

  /** Opens the directory, and makes it and its key unless they are there. */
  static make(directory: string): MemoStore | undefined {
    const opened = MemoStore.open(directory)
    if (opened !== undefined || process.getuid === undefined) return opened
    Fs.mkdirSync(directory, { recursive: true, mode: 0o700 })
    if (!isPrivateDirectory(directory)) return undefined
    replace(join(directory, "key"), randomBytes(keyBytes).toString("hex"))
    return MemoStore.open(directory)
  }

  /** Returns the keyed hash of a value. */
  hash(value: unknown): string {
    return createHmac("sha256", this.#key).update(JSON.stringify(value)).digest("hex")
  }

  /** Reads the memo with a name. */
  read(name: string): Kept | undefined {
    const file = readPrivate(join(this.#directory, name))
    const end = file?.text.indexOf("\n") ?? -1
    if (file === undefined || end < 0) return undefined
    const { mtime, text } = file
    const body = text.slice(end + 1)
    const [given, expected] = [Buffer.from(text.slice(0, end)), Buffer.from(this.hash([name, body]))]
    // Only a text of this program has the hash, so it has the form of a memo.
    if (given.length !== expected.length || !timingSafeEqual(given, expected)) return undefined
    const age = performance.timeOrigin + performance.now() - mtime
    return { memo: JSON.parse(body) as Memo, isRecent: age >= 0 && age < eraAge }
  }

  /** Writes a memo, and removes the oldest ones above the limit. */
  write(name: string, memo: Memo): void {
    const body = JSON.stringify(memo)
    if (body.length > memoLimit / 2) return
    replace(join(this.#directory, name), `${this.hash([name, body])}\n${body}`)
    const names = Fs.readdirSync(this.#directory).filter((one) => one !== "key")
    if (names.length <= countLimit) return
    const byAge = names
      .map((one) => ({ one, age: Fs.statSync(join(this.#directory, one), { throwIfNoEntry: false })?.mtimeMs ?? 0 }))
      .toSorted((a, b) => a.age - b.age)
    for (const { one } of byAge.slice(0, names.length - countLimit)) {
      Fs.rmSync(join(this.#directory, one), { force: true })
    }
  }
}

const isPrivateDirectory = (path: string): boolean => {
  try {
    const stats = Fs.lstatSync(path)
    return stats.isDirectory() && isPrivate(stats)
  } catch {
    // It is missing, or a directory on the way may not be searched.
    return false
  }
}

/** Reads a file that only this user can have written, with the time of its last change. */
const readPrivate = (path: string): { readonly text: string; readonly mtime: number } | undefined => {
  let mtime = 0
  const check = (stats: Fs.Stats) => {
    mtime = stats.mtimeMs
    return isPrivate(stats)
  }
  const bytes = readBytes(path, { limit: memoLimit, flags: Fs.constants.O_NOFOLLOW, check })
  return bytes === undefined ? undefined : { text: bytes.toString("utf8"), mtime }
}

/** Replaces a file as a whole: readers see the old text or the new one. */
const replace = (path: string, text: string): void => {
  const draft = `${path}.${randomBytes(8).toString("hex")}`
  try {
    Fs.writeFileSync(draft, text, { flag: "wx", mode: 0o600 })
    Fs.renameSync(draft, path)
  } finally {
    Fs.rmSync(draft, { force: true })
  }
}
