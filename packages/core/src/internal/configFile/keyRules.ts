/**
 * How the keys of other programs are translated. A rule writes into the draft of a definition.
 */
import * as Predicate from "effect/Predicate"
import type { Draft, TimeUnit } from "./draft.ts"
import type { Path } from "./node.ts"

/** Translates the value of one key. */
export type Rule = (draft: Draft, key: string, value: unknown) => void

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> => Predicate.isObject(value)

const isTexts = (value: unknown): value is ReadonlyArray<string> =>
  Array.isArray(value) && value.every(Predicate.isString)

/** A key for display, or one that steers what only the program does, such as its own confirmations. */
export const cosmetic: Rule = () => {}

/** A key that changes what the program does, and that has no effect here. */
export const ineffective = (advice?: string): Rule => (draft, key) => draft.ignored([key], advice)

/** Another name of one of our keys. */
export const renamed = (to: string): Rule => (draft, key, value) => draft.set(to, value, [key])

/** The longest timeouts that a definition may have, in milliseconds. Other programs allow longer ones. */
const longest = { connectTimeout: 10 * 60 * 1000, requestTimeout: 24 * 60 * 60 * 1000 }

/** The default of `totalTimeout`, in milliseconds. A longer timeout of one request needs a longer one. */
const totalTimeout = 5 * 60 * 1000

/** Sets a timeout that is counted in a unit. Warns about a value that is plausible in the other unit only. */
const setTimeout = (options: {
  readonly draft: Draft
  readonly from: Path
  readonly to: "connectTimeout" | "requestTimeout"
  readonly unit: TimeUnit
  readonly value: unknown
}): void => {
  const { draft, from, to, unit, value } = options
  if (typeof value !== "number") return draft.setDuration(to, value, { from, unit })
  const isImplausible = unit === "seconds" ? value >= 1000 : value > 0 && value < 1000
  if (isImplausible) draft.implausible(from, unit)
  const millis = Math.min(unit === "seconds" ? value * 1000 : value, longest[to])
  draft.setDuration(to, millis, { from, unit })
  if (to === "requestTimeout" && millis > totalTimeout && !Object.hasOwn(draft.raw, "totalTimeout")) {
    draft.set("totalTimeout", millis, from)
  }
}

/** A timeout of the connect or of one request. */
export const timeout = (to: "connectTimeout" | "requestTimeout", unit: TimeUnit): Rule => (draft, key, value) =>
  setTimeout({ draft, from: [key], to, unit, value })

/** `timeout: { startup, request }` in milliseconds, or a number for the start alone. */
export const startupAndRequest: Rule = (draft, key, value) => {
  const unit = "milliseconds"
  if (!isObject(value)) return setTimeout({ draft, from: [key], to: "connectTimeout", unit, value })
  const targets: Readonly<Record<string, "connectTimeout" | "requestTimeout">> = {
    startup: "connectTimeout",
    request: "requestTimeout"
  }
  for (const [member, value_] of Object.entries(value)) {
    const to = Object.hasOwn(targets, member) ? targets[member] : undefined
    if (to === undefined) draft.ignored([key, member])
    else setTimeout({ draft, from: [key, member], to, unit, value: value_ })
  }
}

/** Numbers and booleans become text. */
const textOf = (value: unknown): unknown =>
  typeof value === "number" || typeof value === "boolean" ? String(value) : value

/** Variables of the server. */
export const variables: Rule = (draft, key, value) =>
  draft.set(
    key,
    isObject(value) ? Object.fromEntries(Object.entries(value).map(([name, text]) => [name, textOf(text)])) : value,
    [key]
  )

/** The path of an env file. */
export const envFile: Rule = (draft, key, value) => {
  if (typeof value === "string" && value !== "") draft.envFile = value
  else draft.invalid([key], "the path of a file")
}

// -----------------------------------------------------------------------------
// OAuth
// -----------------------------------------------------------------------------

const oauthMembers: Readonly<Record<string, string>> = {
  CLIENT_ID: "clientId",
  client_id: "clientId",
  clientId: "clientId",
  CLIENT_SECRET: "clientSecret",
  client_secret: "clientSecret",
  clientSecret: "clientSecret",
  scope: "scope",
  scopes: "scope",
  callbackPort: "redirectPort",
  callback_port: "redirectPort"
}

/** The port of a redirect URL on this machine. */
const portOf = (url: unknown): number | undefined => {
  const [, port] = typeof url === "string"
    ? /^http:\/\/(?:localhost|127\.0\.0\.1|\[::1\]):(\d{1,5})(?:\/|$)/.exec(url) ?? []
    : []
  return port === undefined ? undefined : Number(port)
}

/** OAuth options, in the spellings of all programs. Our own members keep their names. */
export const oauth: Rule = (draft, key, value) => {
  if (value === false) return draft.set("auth", false, [key])
  if (value === true) return
  if (!isObject(value)) return draft.invalid([key], "false or an object")
  if (value.enabled === false) return draft.set("auth", false, [key])
  for (const [member, given] of Object.entries(value)) {
    const from = [key, member]
    const to = Object.hasOwn(oauthMembers, member) ? oauthMembers[member] ?? member : member
    if (member === "enabled" || given === null) continue
    if (member === "redirectUri" || member === "redirect_uri") {
      const port = portOf(given)
      if (port === undefined) draft.ignored(from, "sign-ins end at a port of this machine")
      else draft.setMember("auth", "redirectPort", port, from)
    } else if (ownAuth.has(to)) draft.setMember("auth", to, isTexts(given) ? given.join(" ") : given, from)
    else draft.ignored(from)
  }
}

const ownAuth = new Set([
  "grant",
  "clientId",
  "clientSecret",
  "clientMetadataUrl",
  "privateKey",
  "algorithm",
  "scope",
  "issuer",
  "redirectPort",
  "dpop"
])

/** A member of `auth` that is a key of the entry. */
export const authMember = (to: string): Rule => (draft, key, value) =>
  draft.setMember("auth", to, isTexts(value) ? value.join(" ") : value, [key])

// -----------------------------------------------------------------------------
// Names of variables in place of values
// -----------------------------------------------------------------------------

const isVariableName = (name: unknown): name is string => typeof name === "string" && /^[A-Za-z_]\w*$/.test(name)

const expectedName = "the name of a variable"

/** Headers as written. */
export const plainHeaders: Rule = (draft, key, value) => {
  if (!isObject(value)) return draft.set("headers", value, [key])
  for (const [name, text] of Object.entries(value)) draft.setMember("headers", name, text, [key, name])
}

/** Headers by the names of the variables that hold them. */
export const headersFromVariables: Rule = (draft, key, value) => {
  if (!isObject(value)) return draft.invalid([key], "an object of names of variables by header name")
  for (const [name, variable] of Object.entries(value)) {
    if (isVariableName(variable)) draft.setMember("headers", name, `\${${variable}}`, [key, name])
    else draft.invalid([key, name], expectedName)
  }
}

/** A bearer token, by the name of the variable that holds it. */
export const bearerFromVariable: Rule = (draft, key, value) => {
  if (isVariableName(value)) draft.setMember("headers", "Authorization", `Bearer \${${value}}`, [key])
  else draft.invalid([key], expectedName)
}

/** Variables that the server inherits: names, or objects with a name and a source. */
export const inheritedVariables: Rule = (draft, key, value) => {
  if (!Array.isArray(value)) return draft.invalid([key], "a list of names of variables")
  const names = value.flatMap((item: unknown, index) => {
    if (isObject(item) && item.source !== undefined && item.source !== "local") {
      draft.ignored([key, index, "source"])
      return []
    }
    const name = isObject(item) ? item.name : item
    if (isVariableName(name)) return [name]
    draft.invalid([key, index], expectedName)
    return []
  })
  draft.set("inheritEnv", names, [key])
}

// -----------------------------------------------------------------------------
// Commands and URLs
// -----------------------------------------------------------------------------

/** `command`, or the older `command: { path, args, env }`. */
export const commandOrObject: Rule = (draft, key, value) => {
  if (!isObject(value)) return draft.set(key, value, [key])
  for (const [member, to] of [["path", "command"], ["args", "args"], ["env", "env"]] as const) {
    if (value[member] !== undefined && value[member] !== null) draft.set(to, value[member], [key, member])
  }
}

/** A URL whose key decides the transport, unless another key names it. */
export const urlOf = (transport: "sse" | "streamable_http"): Rule => (draft, key, value) => {
  draft.set("url", value, [key])
  if (!Object.hasOwn(draft.raw, "transport") && !Object.hasOwn(draft.raw, "type")) {
    draft.set("transport", transport, [key])
  }
}

/** A list of tools. All of them are always available here. */
export const toolList: Rule = (draft, key, value) => {
  const isAll = value === "*" || Array.isArray(value) && value.includes("*")
  if (!isAll) draft.ignored([key], "all tools of the server can be called")
}
