/**
 * What a server said in a refusal, or in a body that cannot be read, as text to show.
 */

/** The longest excerpt, in characters. */
const excerptLimit = 300

/** Characters that steer a terminal or cannot be seen. */
const controls = /[\s\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu

/** Returns the beginning of a body on one line, secrets removed; `undefined` if there is nothing to show. */
export const excerptOf = (options: {
  readonly body: string
  readonly redact: (text: string) => string
}): string | undefined => {
  // Redacted before it is cut: half a secret is not recognized.
  const line = options.redact(options.body).replaceAll(controls, " ").trim()
  if (line === "") return undefined
  return line.length > excerptLimit ? `${line.slice(0, excerptLimit)}…` : line
}

/** Returns a description, followed by the beginning of the body that it is about. */
export const withExcerpt = ({ description, ...options }: {
  readonly description: string
  readonly body: string
  readonly redact: (text: string) => string
}): string => {
  const excerpt = excerptOf(options)
  return excerpt === undefined ? description : `${description}: ${excerpt}`
}
