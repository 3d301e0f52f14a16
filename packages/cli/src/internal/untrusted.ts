/**
 * Words problems of files that are not trusted: once for each file, however many of its servers need trust.
 */
import { ConfigError, type ConfigProblem, type UntrustedFile } from "@mcp-sessions/core/ConfigError"

const isUntrusted = (problem: ConfigProblem): problem is UntrustedFile => problem._tag === "UntrustedFile"

/** How many names of servers are listed. */
const nameLimit = 10

/** Whether the file of a server must be trusted before the server can be used. */
export const needsTrust = ({ problems }: ConfigError): boolean => problems.some(isUntrusted)

/** What the entries of a file would do, in words. */
const effectsOf = (problems: ReadonlyArray<UntrustedFile>): string => {
  const words = {
    program: "start programs",
    values: "send values of variables to servers",
    security: "change how servers are trusted or reached"
  }
  return [...new Set(problems.map(({ effect }) => words[effect]))].join(", ")
}

/** The description of the problems of one file. */
const descriptionOf = (problems: ReadonlyArray<UntrustedFile>): string => {
  const [first] = problems
  if (first === undefined || problems.length === 1) return first?.description ?? ""
  const { fact, source = "the file" } = first
  const names = problems.slice(0, nameLimit).map(({ server = "" }) => server).join(", ")
  const more = problems.length > nameLimit ? ", …" : ""
  const unknown = fact === undefined ? "" : ` (${fact})`
  return `${source} is a project file that is not trusted${unknown}, and ${problems.length} of its servers ${
    effectsOf(problems)
  }: ${names}${more}; read the file, then run "mcp-sessions config trust" or name the file explicitly`
}

/** A problem to print, or all problems of one file that is not trusted. */
export type Printed =
  | { readonly _tag: "Problem"; readonly problem: ConfigProblem }
  | { readonly _tag: "File"; readonly source: string | undefined; readonly description: string }

/** Joins the problems of each file that is not trusted, at the place of the first one. */
export const joinFiles = (problems: ReadonlyArray<ConfigProblem>): ReadonlyArray<Printed> => {
  const files = new Map<string | undefined, Array<UntrustedFile>>()
  for (const problem of problems.filter(isUntrusted)) {
    const file = files.get(problem.source)
    if (file === undefined) files.set(problem.source, [problem])
    else file.push(problem)
  }
  return problems.flatMap((problem): ReadonlyArray<Printed> => {
    if (!isUntrusted(problem)) return [{ _tag: "Problem", problem }]
    const ofFile = files.get(problem.source) ?? []
    if (ofFile.length === 1) return [{ _tag: "Problem", problem }]
    return ofFile[0] === problem ? [{ _tag: "File", source: problem.source, description: descriptionOf(ofFile) }] : []
  })
}

/** Moves the problems of files that are not trusted to the first error that has one. `undefined`: an error that has no other problem. */
export const gatherUntrusted = <A extends { readonly _tag: string }>(
  errors: ReadonlyArray<A | ConfigError | undefined>
): ReadonlyArray<A | ConfigError | undefined> => {
  const isConfig = (error: A | ConfigError | undefined): error is ConfigError => error?._tag === "ConfigError"
  const all = errors.flatMap((error): ReadonlyArray<ConfigProblem> =>
    isConfig(error) ? error.problems.filter(isUntrusted) : []
  )
  const first = errors.find((error) => isConfig(error) && needsTrust(error))
  return errors.map((error) => {
    if (!isConfig(error) || !needsTrust(error)) return error
    const others = error.problems.filter((problem) => !isUntrusted(problem))
    const [one, ...rest] = error === first ? [...all, ...others] : others
    return one === undefined ? undefined : new ConfigError({ problems: [one, ...rest] })
  })
}
