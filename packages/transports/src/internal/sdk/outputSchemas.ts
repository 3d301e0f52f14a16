/**
 * Holds what tools answer against the output schemas that their server lists for them.
 *
 * A schema counts once it was listed on this connection: nobody relies on one that they have not seen. It is compiled at
 * the first call of its tool.
 *
 * @see https://modelcontextprotocol.io/specification/2025-11-25/server/tools#output-schema
 */
import type { Connection } from "@mcp-sessions/core/Connection"
import { InvalidResult, type Reason, Unsupported } from "@mcp-sessions/core/SessionError"
import type { JsonSchemaType, JsonSchemaValidator } from "@modelcontextprotocol/client"
import { AjvJsonSchemaValidator } from "@modelcontextprotocol/client/validators/ajv"
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import * as Result from "effect/Result"
import * as vm from "node:vm"

type Check = (value: unknown) => string | undefined

/** What a hostile server has written can take years to check. An honest check is far below this; unit: milliseconds. */
const longestCheck = 250

/** The same for making a check of a schema, which is done once. */
const longestCompile = 1000

/** What may take more time than the schema and the value are long: backtracking, all pairs, recursion. */
const unbounded = /"(?:pattern|patternProperties|uniqueItems|\$ref|\$dynamicRef|\$recursiveRef)":/

const sandbox = vm.createContext(Object.create(null))
const script = new vm.Script("check()")

/** Up to these sizes every item of a value may meet every word of a schema, and it is still a matter of milliseconds. */
const little = { characters: 10_000, items: 1000 }

const isLittle = (value: unknown): boolean => {
  const rest = [value]
  let items = 1
  while (rest.length > 0) {
    const next = rest.pop()
    if (typeof next !== "object" || next === null) continue
    const below: ReadonlyArray<unknown> = Array.isArray(next) ? next : Object.values(next)
    items += below.length
    if (items > little.items) return false
    rest.push(...below)
  }
  return true
}

/** Runs a function on a clock of its own, which ends it even within a regular expression. */
const inTime = <A>(run: () => A, timeout: number): A => {
  sandbox.check = run
  try {
    return script.runInContext(sandbox, { timeout })
  } finally {
    sandbox.check = undefined
  }
}

/** How much of the list of what is wrong with a value an error quotes, in characters. */
const longestFault = 1000

const messageOf = (error: unknown): string => error instanceof Error ? error.message : String(error)

const compile = (schema: JsonSchemaType): Check => {
  // One of its own for each schema: two tools may use the same `$id`.
  const validate: JsonSchemaValidator<unknown> = inTime(
    () => new AjvJsonSchemaValidator().getValidator(schema),
    longestCompile
  )
  // The clock costs more than most checks do.
  const text = JSON.stringify(schema)
  const needsClock = text.length > little.characters || unbounded.test(text)
  return (value) => {
    const check = () => validate(value).errorMessage
    try {
      return needsClock || !isLittle(value) ? inTime(check, longestCheck) : check()
    } catch (error) {
      return `it cannot be checked (${messageOf(error)})`
    }
  }
}

/** How many tasks are known by their tool; results of older ones are not checked. */
const mostTasks = 1000

const isNamed = (tool: unknown): tool is { readonly name: string; readonly outputSchema?: unknown } =>
  Predicate.isObject(tool) && "name" in tool && typeof tool.name === "string"

export class OutputSchemas {
  readonly #schemas = new Map<string, JsonSchemaType>()
  readonly #tasks = new Map<string, string>()
  readonly #checks = new Map<string, Result.Result<Check, Unsupported>>()

  /** Runs a request, learning schemas from lists and holding results against what was learnt. */
  around(
    { method, params }: Parameters<Connection["request"]>[0],
    request: Effect.Effect<unknown, Reason>
  ): Effect.Effect<unknown, Reason> {
    if (method === "tools/list") {
      return Effect.map(request, (result) => {
        this.#learn(result, params?.cursor === undefined)
        return result
      })
    }
    const tool = this.#toolOf(method, params)
    if (tool === undefined || !this.#schemas.has(tool)) return request
    if (params?.task !== undefined) {
      return Effect.tap(request, (result) => Effect.sync(() => this.#remember(result, tool)))
    }
    return Effect.flatMap(
      Effect.fromResult(this.#checkOf(tool)),
      (check) => Effect.tap(request, (result) => holdAgainst(tool, check, result))
    )
  }

  /** The tool whose result is the answer. */
  #toolOf(method: string, params: Record<string, unknown> | undefined): string | undefined {
    const { name, taskId } = params ?? {}
    if (method === "tasks/result" && typeof taskId === "string") return this.#tasks.get(taskId)
    return method === "tools/call" && typeof name === "string" ? name : undefined
  }

  /** Notes the tool that a task is a call of. */
  #remember(result: unknown, tool: string): void {
    const task = Predicate.isObject(result) && "task" in result ? result.task : undefined
    if (!Predicate.isObject(task) || !("taskId" in task) || typeof task.taskId !== "string") return
    this.#tasks.set(task.taskId, tool)
    const [oldest] = this.#tasks.keys()
    if (this.#tasks.size > mostTasks && oldest !== undefined) this.#tasks.delete(oldest)
  }

  #learn(result: unknown, isFirstPage: boolean): void {
    if (isFirstPage) {
      this.#schemas.clear()
      this.#checks.clear()
    }
    if (!Predicate.isObject(result) || !("tools" in result) || !Array.isArray(result.tools)) return
    for (const tool of result.tools) {
      if (isNamed(tool) && Predicate.isObject(tool.outputSchema)) this.#schemas.set(tool.name, { ...tool.outputSchema })
    }
  }

  #checkOf(tool: string): Result.Result<Check, Unsupported> {
    const known = this.#checks.get(tool)
    if (known !== undefined) return known
    const check = Result.try({
      try: () => compile(this.#schemas.get(tool) ?? {}),
      catch: (error) =>
        new Unsupported({
          method: "tools/call",
          description: `the output schema that ${tool} is listed with cannot be used: ${messageOf(error)}`
        })
    })
    this.#checks.set(tool, check)
    return check
  }
}

const holdAgainst = (tool: string, check: Check, result: unknown): Effect.Effect<void, InvalidResult> => {
  if (!Predicate.isObject(result) || ("isError" in result && result.isError === true)) return Effect.void
  const fault = "structuredContent" in result && result.structuredContent !== undefined
    ? check(result.structuredContent)
    : "there is none"
  return fault === undefined
    ? Effect.void
    : new InvalidResult({
      method: "tools/call",
      description: `the structured content that ${tool} answered is not what its output schema promises: ${
        fault.slice(0, longestFault)
      }`
    })
}
