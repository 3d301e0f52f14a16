/**
 * Inputs: values that a file asks the user for, as VS Code declares them in `inputs`.
 */
import * as Predicate from "effect/Predicate"
import { type ConfigProblem, InvalidValue } from "../../ConfigError.ts"
import type { Document } from "./document.ts"
import type { InputRequest } from "./model.ts"
import { memberOf, offsetOf, valueOf } from "./node.ts"

/** An input as its file declares it. */
export type InputDeclaration = Omit<InputRequest, "source" | "variable">

/** The variable that can hold the value of an input. */
export const variableOf = (id: string): string => `MCP_SESSIONS_INPUT_${id.toUpperCase().replaceAll(/\W/g, "_")}`

const textOf = (value: unknown): string | undefined => typeof value === "string" ? value : undefined

/** The values of a list to pick from: texts, or objects with a value. */
const optionsOf = (value: unknown): ReadonlyArray<string> | undefined =>
  Array.isArray(value)
    ? value.flatMap((option) =>
      textOf(Predicate.isObject(option) ? (option as { value?: unknown }).value : option) ?? []
    )
    : undefined

const declarationOf = (value: unknown): InputDeclaration | undefined => {
  if (!Predicate.isObject(value)) return undefined
  const { default: fallback, description, id, options, password } = value as Readonly<Record<string, unknown>>
  return typeof id !== "string" || id === ""
    ? undefined
    : {
      id,
      description: textOf(description),
      isPassword: password === true,
      default: textOf(fallback),
      options: optionsOf(options)
    }
}

/** An input that no file declares. Its value may be a secret. */
export const undeclared = (id: string): InputDeclaration => ({
  id,
  description: undefined,
  isPassword: true,
  default: undefined,
  options: undefined
})

/** The inputs that a document declares. */
export const inputsOf = ({ positionOf, source, tree }: Document): {
  readonly inputs: ReadonlyMap<string, InputDeclaration>
  readonly problems: ReadonlyArray<ConfigProblem>
} => {
  const node = memberOf(tree, "inputs")?.value
  const problem = (path: ReadonlyArray<string | number>, expected: string) =>
    new InvalidValue({ source, path, expected, position: positionOf(offsetOf(tree, path)) })
  if (node === undefined) return { inputs: new Map(), problems: [] }
  if (node.kind !== "list") return { inputs: new Map(), problems: [problem(["inputs"], "a list of inputs")] }
  const declarations = node.items.map((item) => declarationOf(valueOf(item)))
  return {
    inputs: new Map(declarations.flatMap((input) => input === undefined ? [] : [[input.id, input] as const])),
    problems: declarations.flatMap((input, index) =>
      input === undefined ? [problem(["inputs", index], "an object with a non-empty id")] : []
    )
  }
}
