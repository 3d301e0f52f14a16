/**
 * Removes configured secrets from text of others, such as the stderr of a server.
 */
import type { ServerConfig } from "@mcp-sessions/core/ServerConfig"
import * as Redacted from "effect/Redacted"
import { Buffer } from "node:buffer"

/** The shortest secret. Shorter values are flags and numbers: replacing them would garble text and protect nothing. */
const shortest = 4

/** Replaces a secret. */
export const mark = "<redacted>"

/** The shortest part of a secret that is replaced on its own. */
const shortestPart = 12

/** Returns the secrets within a secret: a token without its scheme, the lines of a key, the values of an object. */
const partsOf = (secret: string): ReadonlyArray<string> => {
  const token = /^(?:Basic|Bearer) +(\S+)$/i.exec(secret)?.[1]
  const lines = /[\r\n]/.test(secret) ? secret.split(/[\r\n]+/) : []
  const values = secret.startsWith("{")
    ? [...secret.matchAll(/"((?:[^"\\]|\\.)*)"/g)].map(([, value = ""]) => value)
    : []
  const parts = [...lines, ...values.flatMap((value) => [value, ...value.split("\\n")])]
  return [secret, ...(token === undefined ? [] : [token]), ...parts.filter((part) => part.length >= shortestPart)]
}

const escaped = (text: string): string => JSON.stringify(text).slice(1, -1)

/** Returns the encodings of a secret: plain, in a URL, in base64, in JSON, and in JSON within JSON. */
const shapesOf = (secret: string): ReadonlyArray<string> =>
  partsOf(secret).flatMap((part) => [
    part,
    encodeURIComponent(part),
    Buffer.from(part).toString("base64"),
    escaped(part),
    escaped(escaped(part))
  ])

/** Makes a function that replaces every occurrence of the secrets. */
export const make = (secrets: ReadonlyArray<string>): (text: string) => string => {
  const shapes = new Set(secrets.filter((secret) => secret.length >= shortest).flatMap(shapesOf))
  const hidden = [...shapes].toSorted((a, b) => b.length - a.length)
  return (text) => hidden.reduce((text, secret) => text.replaceAll(secret, mark), text)
}

const isSecretName = (name: string): boolean => /auth|cookie|cred|key|pass|secret|token/i.test(name)

/**
 * Returns the secrets of a definition: all values but plain words, such as modes and formats, whose names do not mark them as secret.
 * Replacing those would garble text and protect nothing.
 */
export const secretsOf = (config: ServerConfig): ReadonlyArray<string> =>
  Object.entries(config.transport === "stdio" ? config.env : config.headers)
    .map(([name, value]) => ({ name, value: Redacted.value(value) }))
    .filter(({ name, value }) =>
      isSecretName(name) || !/^(?:[a-z]{1,15}|[A-Z]{1,15}|[A-Z][a-z]{1,14}|\d{1,7})$/.test(value)
    )
    .map(({ value }) => value)
