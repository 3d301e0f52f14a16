/**
 * TLS between nodes: each shows a certificate of the same authority.
 */
import { type ConfigProblem, InvalidValue } from "@mcp-sessions/core/ConfigError"
import * as Predicate from "effect/Predicate"
import * as Redacted from "effect/Redacted"
import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto"
import { keysOf, unknownKeys } from "../unknownKeys.ts"

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

const known = keysOf<NodeTls>({ ca: true, cert: true, key: true })

const certificateOf = (pem: unknown): X509Certificate | undefined => {
  try {
    return Predicate.isString(pem) ? new X509Certificate(pem) : undefined
  } catch {
    return undefined
  }
}

const privateKeyOf = (key: unknown): KeyObject | undefined => {
  try {
    const pem: unknown = Redacted.isRedacted(key) ? Redacted.value(key) : undefined
    return Predicate.isString(pem) ? createPrivateKey(pem) : undefined
  } catch {
    return undefined
  }
}

/** Finds the problems of certificates. None of them quotes a file. */
export const problemsOfTls = (tls: NodeTls, path: ReadonlyArray<string>): ReadonlyArray<ConfigProblem> => {
  const certificate = certificateOf(tls.cert)
  const key = privateKeyOf(tls.key)
  const expect = (isValid: boolean, name: keyof NodeTls, expected: string) =>
    isValid ? [] : [new InvalidValue({ path: [...path, name], expected })]
  return [
    ...unknownKeys({ options: tls, known, path }),
    ...expect(certificateOf(tls.ca) !== undefined, "ca", "a certificate in PEM"),
    ...expect(certificate !== undefined, "cert", "a certificate in PEM"),
    ...expect(key !== undefined, "key", "a private key in PEM without a passphrase, and `Redacted` in a program"),
    ...expect(
      certificate === undefined || key === undefined || certificate.checkPrivateKey(key),
      "key",
      "the private key of the certificate"
    )
  ]
}
