/**
 * Keeps configured secrets out of text that others wrote, such as what a server prints to stderr.
 */
import type { ServerConfig } from "@mcp-sessions/core/ServerConfig"
import * as Redacted from "effect/Redacted"
import { Buffer } from "node:buffer"

/** Shorter values are flags and numbers; replacing them would garble the text and protect nothing. */
const shortest = 4

/** What stands where a secret was. */
export const mark = "<redacted>"

/** A part of a secret shorter than this may be anything. */
const shortestPart = 12

/** The secrets within a secret: a token without its scheme, the lines of a key, the values of an object. */
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

/** The shapes in which a secret gets around: as it is, in a URL, in base64, in JSON, and in JSON within JSON. */
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
 * The values of a definition that are worth hiding: all but plain words, such as modes and formats, whose names do not say
 * that they are secret. To replace those would garble what others wrote and protect nothing.
 */
export const secretsOf = (config: ServerConfig): ReadonlyArray<string> =>
  Object.entries(config.transport === "stdio" ? config.env : config.headers)
    .map(([name, value]) => ({ name, value: Redacted.value(value) }))
    .filter(({ name, value }) =>
      isSecretName(name) || !/^(?:[a-z]{1,15}|[A-Z]{1,15}|[A-Z][a-z]{1,14}|\d{1,7})$/.test(value)
    )
    .map(({ value }) => value)
