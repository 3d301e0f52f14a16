/**
 * Sealed ids: tokens that hold a name, such as that of a client session, and that only the principal and the route they were made for can use.
 *
 * AES-256-GCM with a key that is random for each process, unless the program gives keys that several processes share. Principal and route are
 * authenticated with the token, so an id that was stolen by another principal, or that is used on another path, does not open, and has the same
 * answer as an unknown id.
 *
 * A client sends its id with every request, and deciphering it takes longer than the rest of what a request needs here. So the latest valid tokens
 * are cached with their associated data, and later requests are compared with the cache.
 */
import * as Redacted from "effect/Redacted"
import * as Crypto from "node:crypto"

/** The length of a key that a program gives, in bytes. */
export const keyBytes = 32

const nonceBytes = 12
const tagBytes = 16
/** The maximum length of a token, in characters. Longer tokens are invalid. */
const maxLength = 4096
/** How many tokens are kept that have opened. */
const openedLimit = 4096

/** The principal and the route of an id. */
export interface Bound {
  readonly principal: string
  readonly route: string
}

/** What a token holds that has opened. */
interface Opened extends Bound {
  readonly name: string
}

const associated = ({ principal, route }: Bound): Buffer => Buffer.from(JSON.stringify([principal, route]))

/** The text that a token seals with a key; `undefined` for a token of another key. */
const openWith = (key: Crypto.KeyObject, bytes: Buffer, bound: Bound): string | undefined => {
  const decipher = Crypto.createDecipheriv("aes-256-gcm", key, bytes.subarray(0, nonceBytes), {
    authTagLength: tagBytes
  })
  decipher.setAAD(associated(bound))
  decipher.setAuthTag(bytes.subarray(nonceBytes, nonceBytes + tagBytes))
  try {
    return decipher.update(bytes.subarray(nonceBytes + tagBytes), undefined, "utf8") + decipher.final("utf8")
  } catch {
    return undefined
  }
}

export interface SealedIdsOptions {
  /** What the tokens are. A token of one purpose does not open as one of another, under the same key. */
  readonly purpose: "hop" | "requestState" | "session" | "task"
  /** Keys of {@link keyBytes} bytes each. New ids use the first key, and ids of all keys are accepted. Empty: a random key. */
  readonly keys: ReadonlyArray<Redacted.Redacted<Uint8Array>>
}

export class SealedIds {
  // Key objects, because a buffer would be made one for each use.
  readonly #first: Crypto.KeyObject
  readonly #others: ReadonlyArray<Crypto.KeyObject>
  readonly #opened = new Map<string, Opened>()
  /** Whether each token is opened once, so that none is kept. */
  readonly #isOnce: boolean

  constructor({ keys, purpose }: SealedIdsOptions) {
    const [first = Crypto.randomBytes(keyBytes), ...others] = keys.map(Redacted.value)
    const derive = (key: Uint8Array): Crypto.KeyObject =>
      Crypto.createSecretKey(Buffer.from(Crypto.hkdfSync("sha256", key, "", `mcp-sessions ${purpose}`, keyBytes)))
    this.#first = derive(first)
    this.#others = others.map(derive)
    this.#isOnce = purpose === "hop"
  }

  /** Seals the name of a session. */
  seal(name: string, bound: Bound): string {
    const nonce = Crypto.randomBytes(nonceBytes)
    const cipher = Crypto.createCipheriv("aes-256-gcm", this.#first, nonce)
    cipher.setAAD(associated(bound))
    const sealed = Buffer.concat([cipher.update(name, "utf8"), cipher.final()])
    return Buffer.concat([nonce, cipher.getAuthTag(), sealed]).toString("base64url")
  }

  /** Returns the name that a token seals; `undefined` for a token of another principal, route, purpose or key, and for any other text. */
  open(token: string, bound: Bound): string | undefined {
    const known = this.#opened.get(token)
    if (known !== undefined) {
      return known.principal === bound.principal && known.route === bound.route ? known.name : undefined
    }
    const name = this.#decipher(token, bound)
    if (name === undefined || this.#isOnce) return name
    if (this.#opened.size >= openedLimit) {
      for (const oldest of this.#opened.keys()) {
        this.#opened.delete(oldest)
        break
      }
    }
    this.#opened.set(token, { ...bound, name })
    return name
  }

  #decipher(token: string, bound: Bound): string | undefined {
    if (token.length > maxLength || !/^[\w-]+$/.test(token)) return undefined
    const bytes = Buffer.from(token, "base64url")
    if (bytes.length <= nonceBytes + tagBytes) return undefined
    const opened = openWith(this.#first, bytes, bound)
    if (opened !== undefined) return opened
    for (const key of this.#others) {
      const opened = openWith(key, bytes, bound)
      if (opened !== undefined) return opened
    }
    return undefined
  }
}
