/**
 * Buckets: sessions belong to one of a fixed number of buckets by their names. A node owns whole buckets, so the cost of ownership does not
 * grow with the number of sessions.
 */
import * as Crypto from "node:crypto"

/** The number of buckets. Nodes of one fleet have to agree on it. */
export const bucketCount = 256

/** The bucket of a session. */
export const bucketOf = (name: string): number =>
  Crypto.createHash("sha256").update(name).digest().readUInt32BE(0) % bucketCount

/** How many names are tried before any is taken. */
const maxTries = 256

/** Returns a new name, in a bucket that a node owns if it owns any. */
export const newName = (isOwn: (bucket: number) => boolean): string => {
  let name: string = Crypto.randomUUID()
  for (let tries = 0; tries < maxTries && !isOwn(bucketOf(name)); tries++) name = Crypto.randomUUID()
  return name
}

/** The name of the session of clients that have none of their own and can do the same. Names begin with their distinguishing part. */
export const commonName = (parts: { readonly principal: string; readonly capabilities: unknown }): string =>
  Crypto.createHash("sha256").update(JSON.stringify([parts.principal, parts.capabilities])).digest("base64url")
