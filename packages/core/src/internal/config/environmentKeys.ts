/**
 * The keys of stdio definitions that say which variables a program gets.
 */
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import { defaulted } from "./describedKey.ts"
import { argument, boolean, expecting, isUnsafeVariable, isVariableName, secret, secrets, text } from "./values.ts"

const nameOrPrefix = text({
  pattern: /^(?:[^\0=*]+\*?|\*)$/,
  expected: "the name of a variable, or its beginning and *"
})

const inheritEnv = Schema.Union([Schema.Literal(false), Schema.Array(nameOrPrefix)]).annotate(
  expecting("false, or a list of names of variables, each of which may end in *")
)

/** Describes `env`, `inheritEnv` and `allowUnsafeEnv`. */
export const environmentKeys = {
  env: defaulted(
    secrets({
      member: Schema.NullOr(secret(argument)).annotate(expecting("a string without NUL characters, or null")),
      expected: "an object of strings and null by variable name",
      isName: isVariableName,
      expectedName: "a variable with a non-empty name without = and NUL"
    }),
    {
      description:
        "Sets variables of the program, in addition to those that it inherits. `null` removes one that it would inherit. Values are redacted.",
      default: {},
      defaultText: "none",
      why: "Servers take credentials from variables."
    }
  ),
  inheritEnv: defaulted(inheritEnv, {
    description:
      "Names further variables of this process that the program inherits. Every program inherits `HOME`, `LOGNAME`, `PATH`, `SHELL`, `TERM`, `USER`, `TMPDIR`, `TMP`, `TEMP`, `TZ`, `LANG`, `LANGUAGE`, `LC_*`, `XDG_*`, `npm_config_*` without credentials, `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` in either case, with the credentials of a proxy, `NODE_USE_ENV_PROXY`, `NODE_USE_SYSTEM_CA`, `NODE_EXTRA_CA_CERTS`, `SSL_CERT_FILE`, `SSL_CERT_DIR`, `CURL_CA_BUNDLE` and `REQUESTS_CA_BUNDLE`. `false` leaves `PATH` alone. Unsafe variables are inherited by their full names only, with `allowUnsafeEnv`.",
    default: [],
    defaultText: "none",
    why:
      "A program needs to find its files, its caches and the network. Other variables of this process must not leak into it."
  }),
  allowUnsafeEnv: defaulted(boolean, {
    description:
      "Allows `env` and `inheritEnv` to name variables that change which code runs, such as `NODE_OPTIONS` and `LD_PRELOAD`.",
    default: false,
    why: "A definition should run the program that it shows."
  })
}

/** A variable that a definition may not name without `allowUnsafeEnv`. */
interface UnsafeVariable {
  readonly variable: string
  readonly path: readonly [key: string, member: string | number]
}

/** The variables that a definition may not set or inherit without `allowUnsafeEnv`. */
export const unsafeVariables = ({ allowUnsafeEnv, env, inheritEnv }: {
  readonly allowUnsafeEnv?: unknown
  readonly env?: unknown
  readonly inheritEnv?: unknown
}): ReadonlyArray<UnsafeVariable> => {
  if (allowUnsafeEnv === true) return []
  const set = Predicate.isObject(env)
    ? Object.entries(env).flatMap(([name, value]) => value === null ? [] : [name])
    : []
  const inherited: ReadonlyArray<unknown> = Array.isArray(inheritEnv) ? inheritEnv : []
  return [
    ...set.map((variable): UnsafeVariable => ({ variable, path: ["env", variable] })),
    ...inherited.flatMap((variable, index): ReadonlyArray<UnsafeVariable> =>
      typeof variable === "string" ? [{ variable, path: ["inheritEnv", index] }] : []
    )
  ].filter(({ variable }) => isUnsafeVariable(variable))
}
