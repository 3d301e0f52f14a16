/**
 * Makes the environment of the child of a definition: what every child inherits, and what the definition names and sets.
 */
import { isUnsafeVariable, type StdioServer } from "@mcp-sessions/core/ServerConfig"
import * as Redacted from "effect/Redacted"
import {
  fitting,
  indispensable,
  pick,
  standardVariables,
  type Surroundings,
  systemName,
  type Variables
} from "./inheritedVariables.ts"

type Definition = Pick<StdioServer, "allowUnsafeEnv" | "env" | "inheritEnv">

/** Returns the variables that a definition names. An unsafe one has to be named in full, and be allowed. */
export const namedVariables = ({ definition: { allowUnsafeEnv, inheritEnv }, surroundings }: {
  readonly definition: Definition
  readonly surroundings: Surroundings
}): Variables => {
  if (inheritEnv === false || inheritEnv.length === 0) return {}
  const isNamed = fitting(inheritEnv, surroundings)
  const isNamedInFull = fitting(
    allowUnsafeEnv ? inheritEnv.filter((pattern) => !pattern.endsWith("*")) : [],
    surroundings
  )
  return pick(surroundings, (name) => isUnsafeVariable(name) ? isNamedInFull(name) : isNamed(name))
}

/** Returns the environment of the child of a definition. The definition's own variables win; `null` removes a variable. */
export const childEnvironment = (options: {
  readonly definition: Definition
  readonly surroundings: Surroundings
}): Variables => {
  const { definition: { env, inheritEnv }, surroundings } = options
  const inherited = inheritEnv === false
    ? pick(surroundings, fitting(indispensable[surroundings.platform === "win32" ? "windows" : "posix"], surroundings))
    : { ...standardVariables(surroundings), ...namedVariables(options) }
  const own = new Set(Object.keys(env).map((name) => systemName(name, surroundings)))
  return {
    ...Object.fromEntries(Object.entries(inherited).filter(([name]) => !own.has(systemName(name, surroundings)))),
    ...Object.fromEntries(
      Object.entries(env).flatMap(([name, value]) => value === null ? [] : [[name, Redacted.value(value)] as const])
    )
  }
}
