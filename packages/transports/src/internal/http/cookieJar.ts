/**
 * Keeps the cookies of one connection, and sends them back to the server that set them: load balancers tell by a cookie which server behind
 * them has a session.
 *
 * **Details**
 *
 * A jar belongs to one connection and one host, is shared with nobody, and ends with it. So a cookie for a whole domain is kept for the host
 * alone, and no list of public suffixes is needed. There are at most {@link countLimit} cookies of {@link sizeLimit} characters in all; the
 * oldest go first.
 */
import { type Cookie, parseSetCookie } from "./setCookie.ts"

/** How many cookies are kept. */
const countLimit = 50

/** How long all names and values may be together, in characters. Servers take some 16,000 characters of headers. */
const sizeLimit = 8192

/** A cookie, and when it ends: in monotonic time; `undefined`: with the connection. */
type KeptCookie = Cookie & { readonly expiresAt: number | undefined }

const sizeOf = ({ name, value }: Cookie): number => name.length + value.length

/** Whether a cookie of a path is for a request. */
const fitsPath = (...[requested, path]: readonly [string, string]): boolean =>
  requested === path || requested.startsWith(path.endsWith("/") ? path : `${path}/`)

export class CookieJar {
  /** Oldest first. */
  #cookies: ReadonlyArray<KeptCookie> = []
  readonly #host: string
  readonly #now: () => number
  readonly #timeOfDay: () => number

  constructor(options: {
    /** The host that sets the cookies and gets them. */
    readonly host: string
    /** Tells the monotonic time, in milliseconds. */
    readonly now: () => number
    /** Tells the time of day, in milliseconds since the epoch, for cookies that end at a date. */
    readonly timeOfDay: () => number
  }) {
    this.#host = options.host
    this.#now = options.now
    this.#timeOfDay = options.timeOfDay
  }

  /** Takes the `Set-Cookie` headers of the response to a request. */
  take(...[headers, url]: readonly [ReadonlyArray<string>, URL]): void {
    if (url.hostname !== this.#host) return
    for (const header of headers) {
      const cookie = parseSetCookie({ header, url, timeOfDay: this.#timeOfDay() })
      if (cookie === undefined) continue
      const { lifetime } = cookie
      this.#put({ ...cookie, expiresAt: lifetime === undefined ? undefined : this.#now() + lifetime })
    }
  }

  /** Returns the value of the `Cookie` header for a request; `undefined`: there are no cookies for it. */
  headerFor(url: URL): string | undefined {
    if (url.hostname !== this.#host) return undefined
    this.#expire()
    const fitting = this.#cookies.filter(({ isSecure, path }) =>
      (!isSecure || url.protocol === "https:") && fitsPath(url.pathname, path)
    )
    if (fitting.length === 0) return undefined
    // Longer paths first; the order is stable, so older cookies come before newer ones.
    return fitting.toSorted((a, b) => b.path.length - a.path.length).map(({ name, value }) => `${name}=${value}`)
      .join("; ")
  }

  /** A cookie that replaces another one keeps its place. */
  #put(cookie: KeptCookie): void {
    const isSame = ({ name, path }: Cookie) => name === cookie.name && path === cookie.path
    this.#cookies = this.#cookies.some(isSame)
      ? this.#cookies.map((known) => isSame(known) ? cookie : known)
      : [...this.#cookies, cookie]
    this.#expire()
    let size = this.#cookies.reduce((sum, each) => sum + sizeOf(each), 0)
    while (this.#cookies.length > countLimit || size > sizeLimit) {
      const [oldest, ...rest] = this.#cookies
      size -= oldest === undefined ? 0 : sizeOf(oldest)
      this.#cookies = rest
    }
  }

  #expire(): void {
    const now = this.#now()
    this.#cookies = this.#cookies.filter(({ expiresAt }) => expiresAt === undefined || expiresAt > now)
  }
}
