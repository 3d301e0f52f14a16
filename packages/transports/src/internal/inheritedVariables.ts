/**
 * Chooses the variables that every child process inherits: what it needs to find its files, its caches and the network. Loads nothing but Node.
 *
 * **Details**
 *
 * The credentials of a proxy are passed on, because a child without them does not reach the network. Other credentials are not. A variable that
 * holds a function of a shell is never passed on.
 */

/** Variables by name. */
export interface Variables {
  readonly [name: string]: string
}

/** The variables of this process, and the kind of system it runs on. */
export interface Surroundings {
  readonly env: { readonly [name: string]: string | undefined }
  readonly platform: string
}

const posix = ["HOME", "LOGNAME", "PATH", "SHELL", "TERM", "USER"]

const windows = [
  "APPDATA",
  "COMSPEC",
  "HOMEDRIVE",
  "HOMEPATH",
  "LOCALAPPDATA",
  "PATH",
  "PATHEXT",
  "PROCESSOR_ARCHITECTURE",
  "PROGRAMDATA",
  "PROGRAMFILES",
  "PROGRAMFILES(X86)",
  "SYSTEMDRIVE",
  "SYSTEMROOT",
  "USERNAME",
  "USERPROFILE",
  "WINDIR"
]

/** Variables without which a system finds no program, or starts none. */
export const indispensable = { posix: ["PATH"], windows: ["PATH", "PATHEXT", "SYSTEMROOT"] }

/** Variables for the network and the caches of a child, on every system. */
const common = [
  "CURL_CA_BUNDLE",
  "LANG",
  "LANGUAGE",
  "LC_*",
  "NODE_EXTRA_CA_CERTS",
  "NODE_USE_ENV_PROXY",
  "NODE_USE_SYSTEM_CA",
  "REQUESTS_CA_BUNDLE",
  "SSL_CERT_DIR",
  "SSL_CERT_FILE",
  "TEMP",
  "TMP",
  "TMPDIR",
  "TZ",
  "XDG_*",
  ...["ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"].flatMap((name) => [name, name.toLowerCase()])
]

/** The name by which a system knows a variable. */
export const systemName = (name: string, { platform }: Surroundings): string =>
  platform === "win32" ? name.toUpperCase() : name

/** Makes the predicate of names that fit one of the names or beginnings. */
export const fitting = (patterns: ReadonlyArray<string>, surroundings: Surroundings): (name: string) => boolean => {
  const nameOf = (name: string) => systemName(name, surroundings)
  const names = new Set(patterns.filter((pattern) => !pattern.endsWith("*")).map(nameOf))
  const beginnings = patterns.filter((pattern) => pattern.endsWith("*")).map((pattern) => nameOf(pattern.slice(0, -1)))
  return (given) => {
    const name = nameOf(given)
    return names.has(name) || beginnings.some((beginning) => name.startsWith(beginning))
  }
}

const hasCredentials = (value: string): boolean => {
  if (!URL.canParse(value)) return false
  const { password, username } = new URL(value)
  return username !== "" || password !== ""
}

/**
 * Whether a variable is an option of npm that holds no credentials and does not choose the code that npm runs.
 *
 * @see https://docs.npmjs.com/cli/using-npm/config npm takes the names in any letter case
 */
const isHarmlessNpmOption = (name: string, value: string): boolean => {
  const [, option] = /^npm_config_(.+)$/i.exec(name) ?? []
  if (option === undefined || option.startsWith("//")) return false
  if (/auth|cert|key|otp|password|token/i.test(option)) return false
  if (/^(?:call|node[-_]options|package|script[-_]shell|shell)$/i.test(option)) return false
  return /proxy$/i.test(option) || !hasCredentials(value)
}

export const pick = ({ env }: Surroundings, isPicked: (name: string, value: string) => boolean): Variables =>
  Object.fromEntries(
    Object.entries(env).filter((entry): entry is [string, string] => {
      const [name, value] = entry
      return value !== undefined && !value.startsWith("()") && isPicked(name, value)
    })
  )

/** Returns the variables that every child inherits. */
export const standardVariables = (surroundings: Surroundings): Variables => {
  const isStandard = fitting([...(surroundings.platform === "win32" ? windows : posix), ...common], surroundings)
  return pick(surroundings, (name, value) => isStandard(name) || isHarmlessNpmOption(name, value))
}
