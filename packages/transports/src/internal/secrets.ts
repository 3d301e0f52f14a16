/**
 * Finds the secrets of a server definition: the values of `env`, `headers` and `args`, of variables that `inheritEnv` names, the credentials
 * of a proxy that the program inherits, and the query of the URL.
 *
 * **Details**
 *
 * A value under the name of a secret, such as `API_KEY` or `--token`, is a secret from 4 characters on, unless it is a switch such as `true`.
 * Every other value is one from 6 characters on, unless it is plain: one word, a small number, and among `args` also a flag, a package or a
 * program, and a path that exists. Errors quote those often, and without them they would not say what is wrong.
 */
import type { RemoteServerOptions, ServerConfig, StdioServer, Variables } from "@mcp-sessions/core/ServerConfig"
import * as Redacted from "effect/Redacted"
import * as Fs from "node:fs"
import * as Path from "node:path"
import process from "node:process"
import { namedVariables } from "./childEnvironment.ts"
import { standardVariables } from "./inheritedVariables.ts"
import { isPlain } from "./quotedSecret.ts"
import { make } from "./redactor.ts"

interface Named {
  readonly name: string
  readonly value: string
}

/** The shortest secret, and the shortest value that is one although its name does not say so. */
const shortest = 4
const shortestUnnamed = 6

const switches = new Set(["true", "false", "null", "none", "undefined", "default", "enabled", "disabled", "redacted"])

const isSecretName = (name: string): boolean =>
  /auth|bearer|cookie|cred|key|pass|private|pwd|secret|session|signature|token/i.test(name)

const isSecret = ({ name, value }: Named): boolean =>
  isSecretName(name)
    ? value.length >= shortest && !switches.has(value.toLowerCase())
    : value.length >= shortestUnnamed && !isPlain(value)

// -----------------------------------------------------------------------------
// Arguments
// -----------------------------------------------------------------------------

const flag = /^--?[a-z]+(?:[-_.][a-z0-9]+)*$/i

/** A flag in one word with its value: `-p8080`. */
const joined = /^-([A-Za-z])(.*[^a-z].*)$/

/** The name of a package or an image, with or without a version. */
const packageName = /^(?:@[a-z0-9][\w.-]*\/)?[a-z]+(?:[-_./][a-z]+)*(?:[@:](?:latest|v?\d+(?:\.\d+)+))?$/

const scopedPackage = /^@[a-z0-9][a-z0-9.-]*\/[a-z0-9][a-z0-9._-]*(?:@[\w.^~-]+)?$/

const program = /^[^\s:]*\.(?:[cm]?[jt]s|py|rb|php|jar|sh|exe|dll|wasm)$/

const exists = (path: string, directory: string | undefined): boolean =>
  path.length < 4096 && Fs.existsSync(Path.resolve(directory ?? process.cwd(), path))

/** Returns the values among arguments, each with the flag or key that names it. */
const namedArguments = (args: ReadonlyArray<string>): ReadonlyArray<Named> =>
  args.flatMap((arg, index) => {
    const [, key, value = ""] = /^(--?[\w.-]+|[A-Za-z_][\w.-]*)=([\s\S]*)$/.exec(arg) ?? []
    if (key !== undefined) return [{ name: key, value }]
    const before = args[index - 1] ?? ""
    const name = flag.test(before) ? before : ""
    if (flag.test(arg) && (arg.startsWith("--") || !isSecretName(name))) return []
    const [, letter, rest = ""] = joined.exec(arg) ?? []
    return letter === undefined ? [{ name, value: arg }] : [{ name, value: arg }, { name: letter, value: rest }]
  })

/** Whether an argument says which program runs, or where. */
const isPlainArgument = ({ name, value }: Named, directory: string | undefined): boolean =>
  scopedPackage.test(value) || program.test(value) || (name === "" && packageName.test(value)) ||
  exists(value, directory)

const secretsOfArguments = (args: ReadonlyArray<string>, directory: string | undefined): ReadonlyArray<Named> =>
  namedArguments(args).filter((named) => isSecretName(named.name) || !isPlainArgument(named, directory))

// -----------------------------------------------------------------------------
// URLs
// -----------------------------------------------------------------------------

const decoded = (text: string): string => {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** A part of a path that is no word: some gateways take the key from there. */
const isKeyInPath = (part: string): boolean => part.length >= 16 && /\d/.test(part) && /[a-z]/i.test(part)

/** Returns the credentials of a URL. */
const credentialsOf = (text: string): ReadonlyArray<Named> => {
  if (!URL.canParse(text)) return []
  const { password, username } = new URL(text)
  return [{ name: "password", value: decoded(password) }, { name: "", value: decoded(username) }]
}

/** Returns the query of a URL, whole and by parameter, and keys in its path. */
const secretsOfUrl = (text: string): ReadonlyArray<Named> => {
  const { pathname, search } = new URL(text)
  const query = search.slice(1)
  const pairs = query.split("&").flatMap((pair) => {
    const end = pair.indexOf("=")
    const name = end < 0 ? "" : decoded(pair.slice(0, end))
    const value = pair.slice(end + 1)
    return [value, decoded(value), decoded(value.replaceAll("+", " "))].map((value) => ({ name, value }))
  })
  return [
    ...pairs,
    { name: "", value: query },
    ...credentialsOf(text),
    ...pathname.split("/").filter(isKeyInPath).map((value) => ({ name: "", value }))
  ]
}

// -----------------------------------------------------------------------------
// Definitions
// -----------------------------------------------------------------------------

const namedSecrets = (secrets: Variables): ReadonlyArray<Named> =>
  Object.entries(secrets).flatMap(([name, value]) => value === null ? [] : [{ name, value: Redacted.value(value) }])

/** Returns the secrets among the variables that a program inherits. */
const inheritedSecrets = (config: StdioServer): ReadonlyArray<Named> => {
  if (config.inheritEnv === false) return []
  const named = namedVariables({ definition: config, surroundings: process })
  return [
    ...Object.values(standardVariables(process)).flatMap(credentialsOf),
    ...Object.entries(named).map(([name, value]) => ({ name, value }))
  ]
}

/** Returns the credentials of the proxies of a remote definition and of the environment, and the private key. */
const networkSecrets = ({ proxy, tls }: RemoteServerOptions): ReadonlyArray<Named> => [
  ...(tls?.key === undefined ? [] : [{ name: "key", value: Redacted.value(tls.key) }]),
  ...(Redacted.isRedacted(proxy) ? credentialsOf(Redacted.value(proxy)) : []),
  ...Object.values(standardVariables(process)).flatMap(credentialsOf)
]

/** Returns the secrets of a definition. */
export const secretsOf = (config: ServerConfig): ReadonlyArray<string> => {
  const all = config.transport === "stdio"
    ? [...namedSecrets(config.env), ...inheritedSecrets(config), ...secretsOfArguments(config.args, config.cwd)]
    : [...namedSecrets(config.headers), ...secretsOfUrl(config.url), ...networkSecrets(config)]
  return all.filter(isSecret).map(({ value }) => value)
}

const redactors = new WeakMap<ServerConfig, (text: string) => string>()

/** Returns the function that removes the secrets of a definition from text: one for each definition. */
export const redactorOf = (config: ServerConfig): (text: string) => string => {
  const known = redactors.get(config)
  if (known !== undefined) return known
  const redact = make(() => secretsOf(config))
  redactors.set(config, redact)
  return redact
}
