/**
 * Page sessions: the sessions of browsers that opened the page. A session has a random cookie that scripts cannot read, and a random token that the page sends with each
 * request. Browsers send cookies to all ports of a host, so the cookie alone gives no access.
 *
 * A session ends after {@link idleTime} without a request or a stream, and after {@link lifetime} in any case.
 */
import * as Crypto from "node:crypto"

/** In milliseconds. */
export const idleTime = 30 * 60_000
export const lifetime = 12 * 60 * 60_000

/** The maximum number of sessions. A further session ends the least recently used one. */
const sessionLimit = 256

/** The maximum number of sessions of a principal. */
const principalLimit = 16

const random = (): string => Crypto.randomBytes(32).toString("base64url")

const digestOf = (text: string): Buffer => Crypto.createHash("sha256").update(text).digest()

const isSame = (left: Buffer, text: string): boolean => Crypto.timingSafeEqual(left, digestOf(text))

/** A secret that opens the page once. The next secret replaces it. */
export class Link {
  #digest: Buffer | undefined

  /** Makes a new secret, and invalidates the previous one. */
  renew(): string {
    const secret = random()
    this.#digest = digestOf(secret)
    return secret
  }

  /** Checks a secret, and invalidates it if it is valid. */
  redeem(secret: string): boolean {
    if (this.#digest === undefined || !isSame(this.#digest, secret)) return false
    this.#digest = undefined
    return true
  }
}

export class PageSession {
  readonly principal: string
  readonly endsAt: number
  readonly #token: Buffer
  /** The functions that end the streams of the session. */
  readonly streams = new Set<() => void>()
  usedAt: number

  constructor(
    options: { readonly principal: string; readonly token: string; readonly now: number; readonly endsAt: number }
  ) {
    this.principal = options.principal
    this.endsAt = options.endsAt
    this.usedAt = options.now
    this.#token = digestOf(options.token)
  }

  has(token: string): boolean {
    return isSame(this.#token, token)
  }
}

export class PageSessions {
  readonly #now: () => number
  readonly #byDigest = new Map<string, PageSession>()

  /** `now` gives monotonic time in milliseconds. */
  constructor(now: () => number) {
    this.#now = now
  }

  get size(): number {
    return this.#byDigest.size
  }

  /** Opens a session, and returns its two secrets. `endsIn` is the remaining lifetime of the principal's token, in milliseconds. */
  open(principal: string, endsIn = lifetime): { readonly cookie: string; readonly token: string } {
    const now = this.#now()
    this.sweep()
    const own = [...this.#byDigest].filter(([, session]) => session.principal === principal)
    this.#makeRoom(own, principalLimit)
    this.#makeRoom([...this.#byDigest], sessionLimit)
    const [cookie, token] = [random(), random()]
    const session = new PageSession({ principal, token, now, endsAt: now + Math.min(endsIn, lifetime) })
    this.#byDigest.set(digestOf(cookie).toString("base64"), session)
    return { cookie, token }
  }

  /** Finds the session of a cookie and a token, and marks it as used. */
  find(cookie: string | undefined, token: string | undefined): PageSession | undefined {
    if (cookie === undefined || token === undefined) return undefined
    const session = this.#byDigest.get(digestOf(cookie).toString("base64"))
    const now = this.#now()
    if (session === undefined || !session.has(token) || this.#isOver(session, now)) return undefined
    session.usedAt = now
    return session
  }

  /** Ends a session, and its streams. */
  end(session: PageSession): void {
    for (const [digest, one] of this.#byDigest) if (one === session) this.#byDigest.delete(digest)
    for (const close of session.streams) close()
  }

  /** Ends expired sessions. */
  sweep(): void {
    const now = this.#now()
    for (const session of this.#byDigest.values()) if (this.#isOver(session, now)) this.end(session)
  }

  #isOver(session: PageSession, now: number): boolean {
    return now >= session.endsAt || (session.streams.size === 0 && now - session.usedAt > idleTime)
  }

  #makeRoom(sessions: ReadonlyArray<readonly [string, PageSession]>, limit: number): void {
    if (sessions.length < limit) return
    const [oldest] = sessions.toSorted(([, left], [, right]) => left.usedAt - right.usedAt)
    if (oldest !== undefined) this.end(oldest[1])
  }
}
