/**
 * Access tokens: returns the principal and the expiry of a token. Verified tokens are cached by their digests until they expire.
 */
import * as Effect from "effect/Effect"
import type * as Jose from "jose"
import { TokenRefused } from "./tokenRefused.ts"
import type { TokenVerifier, Verified } from "./tokenVerifier.ts"

/** The maximum length of a token, in characters. */
const maxLength = 8192

/** The maximum number of tokens that are verified at a time. */
const mostPending = 1024

interface Remembered extends Verified {
  readonly verifier: TokenVerifier
}

export interface AccessTokensOptions {
  readonly jose: typeof Jose
  readonly verifiers: ReadonlyArray<TokenVerifier>
  /** The maximum number of cached tokens. A further token evicts the least recently used one. */
  readonly mostRemembered: number
  /** The time of day, in milliseconds since the epoch. */
  readonly timeOfDay: () => number
}

export class AccessTokens {
  readonly #options: AccessTokensOptions
  readonly #remembered = new Map<string, Remembered>()
  #pending = 0

  constructor(options: AccessTokensOptions) {
    this.#options = options
  }

  /** Whether a text may be a signed token: three parts of Base64url. */
  static isCandidate(token: string): boolean {
    return /^[\w-]*\.[\w-]*\.[\w-]*$/.test(token)
  }

  /** The token with this digest, if it was verified, has not expired, and its issuer has not changed its keys since. */
  recall(digest: string): Verified | undefined {
    const found = this.#remembered.get(digest)
    if (found === undefined) return undefined
    const { keys } = found.verifier.options
    keys.refreshIfOld()
    this.#remembered.delete(digest)
    if (found.expiresAt <= this.#options.timeOfDay() || keys.last !== found.keys) return undefined
    this.#remembered.set(digest, found)
    return found
  }

  /** Verifies a token, and remembers it by its digest. */
  verify(token: string, digest: string): Effect.Effect<Verified, TokenRefused> {
    return Effect.suspend(() => {
      if (this.#pending >= mostPending) return Effect.fail(new TokenRefused({ fault: "Busy" }))
      const read = token.length > maxLength ? undefined : this.#read(token)
      if (read === undefined) return Effect.fail(new TokenRefused({ fault: "Malformed" }))
      const verifier = this.#options.verifiers.find(({ options }) => options.issuer === read.issuer)
      if (verifier === undefined) return Effect.fail(new TokenRefused({ fault: "UnknownIssuer" }))
      this.#pending++
      return verifier.verify(token, read.header).pipe(
        Effect.tap((verified) => Effect.sync(() => this.#remember(digest, { ...verified, verifier }))),
        Effect.ensuring(Effect.sync(() => {
          this.#pending--
        }))
      )
    })
  }

  /** Reads the header and the issuer of a token that is not verified yet. */
  #read(token: string): { readonly header: Jose.ProtectedHeaderParameters; readonly issuer: unknown } | undefined {
    const { decodeJwt, decodeProtectedHeader } = this.#options.jose
    try {
      return { header: decodeProtectedHeader(token), issuer: decodeJwt(token).iss }
    } catch {
      return undefined
    }
  }

  #remember(digest: string, verified: Remembered): void {
    this.#remembered.set(digest, verified)
    if (this.#remembered.size <= this.#options.mostRemembered) return
    for (const oldest of this.#remembered.keys()) {
      this.#remembered.delete(oldest)
      return
    }
  }
}
