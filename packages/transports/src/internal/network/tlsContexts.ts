/**
 * Makes the TLS contexts of a definition: what it trusts, and by which certificate it is known.
 *
 * **Details**
 *
 * Files are read at each connect, and a context is kept while they stay the same. With authorities of its own it holds all default ones too,
 * which takes some 100 ms and 1 MB. So definitions with the same texts share one. Connections that are open keep the context that they began
 * with.
 */
import type { TlsOptions } from "@mcp-sessions/core/ServerConfig"
import { TlsFailed } from "@mcp-sessions/core/SessionError"
import * as Redacted from "effect/Redacted"
import { createHash } from "node:crypto"
import * as Tls from "node:tls"
import { codeOf, readPem } from "./pem.ts"

/** The texts that a context is made of. */
interface Material {
  readonly ca: ReadonlyArray<string>
  readonly client?: { readonly cert: string; readonly key: string } | undefined
}

/** The contexts of one definition. */
interface Contexts {
  /** For the server itself. */
  readonly server: Tls.SecureContext
  /** For a proxy and for authorization servers: without the certificate of the client. */
  readonly others: Tls.SecureContext
}

/** Contexts that are in use, by a hash of their texts. */
const shared = new Map<string, WeakRef<Tls.SecureContext>>()

const unused = new FinalizationRegistry((hash: string) => {
  if (shared.get(hash)?.deref() === undefined) shared.delete(hash)
})

const make = ({ ca, client }: Material): Tls.SecureContext => {
  try {
    return Tls.createSecureContext({
      ...(ca.length === 0 ? {} : { ca: [...Tls.getCACertificates("default"), ...ca] }),
      ...client
    })
  } catch (error) {
    // Each text by itself was good: the key is not that of the certificate.
    throw new TlsFailed({ key: client === undefined ? "tls.ca" : "tls.key", code: codeOf(error) })
  }
}

const contextOf = (material: Material): Tls.SecureContext => {
  const hash = createHash("sha256").update(JSON.stringify(material)).digest("hex")
  const known = shared.get(hash)?.deref()
  if (known !== undefined) return known
  const made = make(material)
  shared.set(hash, new WeakRef(made))
  unused.register(made, hash)
  return made
}

export class TlsContexts {
  readonly #options: TlsOptions
  #latest: Contexts | undefined

  constructor(options: TlsOptions) {
    this.#options = options
  }

  /** The name that the certificate of the server has to have; `undefined`: the host of its URL. */
  get serverName(): string | undefined {
    return this.#options.serverName
  }

  /** The contexts that were made last; `undefined`: none were made yet. */
  get latest(): Contexts | undefined {
    return this.#latest
  }

  /** Reads the files, and makes contexts of them. Rejects with `TlsFailed`. */
  async load(): Promise<Contexts> {
    const { cert, key } = this.#options
    const ca = await Promise.all([this.#options.ca ?? []].flat().map((value) => readPem("ca", value)))
    const client = cert === undefined || key === undefined
      ? undefined
      : { cert: await readPem("cert", cert), key: await readPem("key", Redacted.value(key)) }
    const others = contextOf({ ca })
    const server = client === undefined ? others : contextOf({ ca, client })
    return this.#latest = { server, others }
  }
}

const known = new WeakMap<TlsOptions, TlsContexts>()

/** Returns the contexts of a definition: one object for all owners and for the authorization server. */
export const tlsContextsOf = (options: TlsOptions | undefined): TlsContexts | undefined => {
  if (options === undefined) return undefined
  const made = known.get(options) ?? new TlsContexts(options)
  known.set(options, made)
  return made
}
