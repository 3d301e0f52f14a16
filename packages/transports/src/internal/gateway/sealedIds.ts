/**
 * Sealed session ids: tokens that name a client session, and that only the principal and the route they were made for can use.
 *
 * AES-256-GCM with a random key for each process. Principal and route are authenticated with the token, so an id that was stolen by another
 * principal, or that is used on another path, does not open, and looks like an id that never was.
 */
import * as Crypto from "node:crypto"

const nonceBytes = 12
const tagBytes = 16
/** The longest token that is looked at, in characters. Longer ones are not ours. */
const maxLength = 256

/** Who may use an id, and where. */
export interface Bound {
  readonly principal: string
  readonly route: string
}

const associated = ({ principal, route }: Bound): Buffer => Buffer.from(JSON.stringify([principal, route]))

export class SealedIds {
  // A key object, because a buffer would be made one for each use.
  readonly #key = Crypto.createSecretKey(Crypto.randomBytes(32))

  /** Seals the name of a session. */
  seal(name: string, bound: Bound): string {
    const nonce = Crypto.randomBytes(nonceBytes)
    const cipher = Crypto.createCipheriv("aes-256-gcm", this.#key, nonce)
    cipher.setAAD(associated(bound))
    const sealed = Buffer.concat([cipher.update(name, "utf8"), cipher.final()])
    return Buffer.concat([nonce, cipher.getAuthTag(), sealed]).toString("base64url")
  }

  /** Returns the name that a token seals; `undefined` for a token of another principal, route or process, and for any other text. */
  open(token: string, bound: Bound): string | undefined {
    if (token.length > maxLength || !/^[\w-]+$/.test(token)) return undefined
    const bytes = Buffer.from(token, "base64url")
    if (bytes.length <= nonceBytes + tagBytes) return undefined
    const decipher = Crypto.createDecipheriv("aes-256-gcm", this.#key, bytes.subarray(0, nonceBytes))
    decipher.setAAD(associated(bound))
    decipher.setAuthTag(bytes.subarray(nonceBytes, nonceBytes + tagBytes))
    try {
      return decipher.update(bytes.subarray(nonceBytes + tagBytes), undefined, "utf8") + decipher.final("utf8")
    } catch {
      return undefined
    }
  }
}
