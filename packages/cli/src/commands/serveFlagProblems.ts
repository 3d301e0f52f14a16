/**
 * Checks the flags of `serve`: no flag is ignored, because a flag without effect is an error.
 */
import { isLoopback } from "@mcp-sessions/transports/NodeHost"
import * as Option from "effect/Option"

/** The defaults of the flags that have one. */
export const defaults = { host: "127.0.0.1", port: 0, path: "/mcp" }

/** Returns the problems of flags that exclude each other, or that need another flag. */
export const problemsOf = (flags: {
  readonly host: string
  readonly port: number
  readonly path: string
  readonly tokens: Option.Option<string>
  readonly issuer: Option.Option<string>
  readonly audience: ReadonlyArray<string>
  readonly jwks: Option.Option<string>
  readonly requireScope: ReadonlyArray<string>
  readonly publicUrl: Option.Option<string>
  readonly allowHost: ReadonlyArray<string>
  readonly allowOrigin: ReadonlyArray<string>
  readonly operator: ReadonlyArray<string>
  readonly stdio: boolean
  readonly ui: boolean
}): ReadonlyArray<string> => {
  const { host, issuer, operator, path, port, stdio, tokens, ui } = flags
  const givenOf = (given: Readonly<Record<string, boolean>>) =>
    Object.entries(given).flatMap(([flag, isGiven]) => isGiven ? [flag] : [])
  const ofUrl = givenOf({
    "--host": host !== defaults.host,
    "--port": port !== defaults.port,
    "--path": path !== defaults.path,
    "--tokens": Option.isSome(tokens),
    "--issuer": Option.isSome(issuer),
    "--public-url": Option.isSome(flags.publicUrl),
    "--allow-host": flags.allowHost.length > 0,
    "--allow-origin": flags.allowOrigin.length > 0
  })
  const ofIssuer = givenOf({
    "--audience": flags.audience.length > 0,
    "--jwks": Option.isSome(flags.jwks),
    "--require-scope": flags.requireScope.length > 0
  })
  return [
    ...(ui && stdio ? ["--ui cannot be used with --stdio"] : []),
    ...(!ui && operator.length > 0 ? ["--operator needs --ui"] : []),
    ...(stdio ? ofUrl : []).map((flag) => `${flag} cannot be used with --stdio`),
    ...(Option.isNone(issuer) ? ofIssuer : []).map((flag) => `${flag} needs --issuer`),
    ...(!stdio && !isLoopback(host) && Option.isNone(tokens) && Option.isNone(issuer)
      ? ["--host: an address other than loopback needs --tokens or --issuer"]
      : [])
  ]
}
