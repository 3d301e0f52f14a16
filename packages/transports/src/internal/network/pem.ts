/**
 * Reads certificates and keys in PEM, from files or from the text of a definition, and checks that they are what they have to be.
 *
 * An error names the key of the definition, the file and a code, and shows nothing of the text.
 */
import { TlsFailed } from "@mcp-sessions/core/SessionError"
import { createPrivateKey, X509Certificate } from "node:crypto"
import { open } from "node:fs/promises"

/** How large a file may be, in bytes. The certificates that a system trusts have some 300 KB. */
const fileLimit = 4 * 1024 ** 2

/** The keys of `tls` that hold PEM. */
export type PemKey = "ca" | "cert" | "key"

/** Returns the code of an error of the system or of OpenSSL. */
export const codeOf = (error: unknown): string =>
  error instanceof Error ? "code" in error && typeof error.code === "string" ? error.code : error.name : "unknown"

const isPem = (text: string): boolean => text.includes("-----BEGIN ")

const readSmall = async (path: string): Promise<string> => {
  const handle = await open(path, "r")
  try {
    const stat = await handle.stat()
    if (!stat.isFile()) throw Object.assign(new Error(), { code: "EISDIR" })
    if (stat.size > fileLimit) throw Object.assign(new Error(), { code: "EFBIG" })
    return await handle.readFile("utf8")
  } finally {
    await handle.close()
  }
}

/** Checks that a text holds certificates, or a key. */
const check = (key: PemKey, text: string): void => {
  if (key === "key") return void createPrivateKey(text)
  const certificates = text.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g)
  if (certificates === null) throw Object.assign(new Error(), { code: "ERR_NO_CERTIFICATE" })
  void certificates.map((certificate) => new X509Certificate(certificate))
}

/** Reads a value of `tls`: a path, or the text itself. Rejects with `TlsFailed`. */
export const readPem = async (...[key, value]: readonly [PemKey, string]): Promise<string> => {
  const path = isPem(value) ? undefined : value
  try {
    const text = path === undefined ? value : await readSmall(path)
    check(key, text)
    return text
  } catch (error) {
    // A key that is not in PEM would be taken for a path.
    const shown = path === undefined || key === "key" ? {} : { path }
    throw new TlsFailed({ key: `tls.${key}`, code: codeOf(error), ...shown })
  }
}
