/**
 * TLS between nodes: each shows a certificate of the same authority.
 */
import * as Redacted from "effect/Redacted"

/**
 * Certificates of a node, each in PEM.
 *
 * @category models
 * @since 0.1.0
 */
export interface NodeTls {
  /** The authority that signed the certificates of all nodes. */
  readonly ca: string
  /** The certificate of this node, for the address that other nodes reach it at. */
  readonly cert: string
  /** The private key of the certificate. */
  readonly key: Redacted.Redacted<string>
}

/** The options of `node:tls`. */
export interface TlsOptions {
  readonly ca: string
  readonly cert: string
  readonly key: string
}

export const tlsOptions = ({ ca, cert, key }: NodeTls): TlsOptions => ({ ca, cert, key: Redacted.value(key) })
