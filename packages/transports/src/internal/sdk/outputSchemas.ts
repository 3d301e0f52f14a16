/**
 * Checks the structured content of tool results against the output schemas that the server lists.
 *
 * A schema applies once it was listed on this connection. It is compiled at the first call of its tool. A call of a tool without a schema
 * costs one look into a map, and none while no schema was listed.
 *
 * @see https://modelcontextprotocol.io/specification/2025-11-25/server/tools#output-schema
 */
import type { OutgoingRequest } from "@mcp-sessions/core/Connection"
import { InvalidResult, Unsupported } from "@mcp-sessions/core/SessionError"
import type { JsonSchemaType, JsonSchemaValidator } from "@modelcontextprotocol/client"
import { AjvJsonSchemaValidator } from "@modelcontextprotocol/client/validators/ajv"
import * as Predicate from "effect/Predicate"
import * as Result from "effect/Result"
import * as vm from "node:vm"
import type { ResultChecks } from "../jsonRpc/directRequests.ts"

type Check = (value: unknown) => string | undefined

/** How long a check may take, in milliseconds. The schema of a hostile server can take years. */
const checkTimeout = 250

/** How long the compilation of a schema may take, in milliseconds. */
const compileTimeout = 1000

/** Keywords that may take more than linear time: backtracking, all pairs, recursion. */
const unbounded = /"(?:pattern|patternProperties|uniqueItems|\$ref|\$dynamicRef|\$recursiveRef)":/

/** Where checks run. Made when the first schema is used: it is a global object of its own. */
let sandbox: vm.Context | undefined
const script = new vm.Script("check()")

/** Up to these sizes a check takes milliseconds, even if it compares every item of a value with every word of a schema. */
const small = { characters: 10_000, items: 1000 }

const isSmall = (value: unknown): boolean => {
  const rest = [value]
  let items = 1
  while (rest.length > 0) {
    const next = rest.pop()
    if (typeof next !== "object" || next === null) continue
    const below: ReadonlyArray<unknown> = Array.isArray(next) ? next : Object.values(next)
    items += below.length
    if (items > small.items) return false
    rest.push(...below)
  }
  return true
}

/** Runs a function with a time limit that ends it even within a regular expression. */
const withTimeLimit = <A>(run: () => A, timeout: number): A => {
  sandbox ??= vm.createContext(Object.create(null))
  sandbox.check = run
  try {
    return script.runInContext(sandbox, { timeout })
  } finally {
    sandbox.check = undefined
  }
}

/** How much of a validation error is quoted, in characters. */
const quotedFault = 1000

const messageOf = (error: unknown): string => error instanceof Error ? error.message : String(error)

/** The part of the SDK's validator that has no public setting: its engine warns on the console, of unknown formats for example. */
interface Engines {
  readonly _engineFor?: (schema: JsonSchemaType) => { logger?: unknown }
}

const silent = { log: () => {}, warn: () => {}, error: () => {} }

/** Compiles a schema, and prints nothing: the output of the process is that of the program. */
const validatorOf = (schema: JsonSchemaType): JsonSchemaValidator<unknown> => {
  // A validator for each schema: two tools may use the same `$id`.
  const validator = new AjvJsonSchemaValidator()
  const engine = (validator as unknown as Engines)._engineFor?.(schema)
  if (engine !== undefined) engine.logger = silent
  return validator.getValidator(schema)
}

const compile = (schema: JsonSchemaType): Check => {
  const validate = withTimeLimit(() => validatorOf(schema), compileTimeout)
  // The time limit costs more than most checks do.
  const text = JSON.stringify(schema)
  const needsTimeLimit = text.length > small.characters || unbounded.test(text)
  return (value) => {
    const check = () => validate(value).errorMessage
    try {
      return needsTimeLimit || !isSmall(value) ? withTimeLimit(check, checkTimeout) : check()
    } catch (error) {
      return `it cannot be checked (${messageOf(error)})`
    }
  }
}

/** How many tasks are remembered; results of older tasks are not checked. */
const taskLimit = 1000

const isNamed = (tool: unknown): tool is { readonly name: string; readonly outputSchema?: unknown } =>
  Predicate.isObject(tool) && "name" in tool && typeof tool.name === "string"

/** The parts of a request that say which tool it calls. */
type Call = Pick<OutgoingRequest, "method" | "params">

/** Whether the result of a call is a task in place of that of the tool. */
const isTask = ({ params }: Call, result: unknown): boolean =>
  params?.task !== undefined || (Predicate.isObject(result) && "resultType" in result && result.resultType === "task")

export class OutputSchemas implements ResultChecks {
  readonly #schemas = new Map<string, JsonSchemaType>()
  #tasks: Map<string, string> | undefined
  readonly #checks = new Map<string, Result.Result<Check, Unsupported>>()
  /** The calls in flight of tools with a schema, and what is to be checked of their results. */
  #calls: WeakMap<Call, { readonly tool: string; readonly check: Check }> | undefined

  /** Compiles the schema of the tool that a request calls. Returns why it must not be called, if the schema cannot be used. */
  before(request: Call): Unsupported | undefined {
    if (this.#schemas.size === 0) return undefined
    const tool = this.#toolOf(request)
    if (tool === undefined || !this.#schemas.has(tool)) return undefined
    const check = this.#checkOf(tool)
    if (Result.isFailure(check)) return check.failure
    const calls = this.#calls ??= new WeakMap()
    calls.set(request, { tool, check: check.success })
    return undefined
  }

  /** Learns the schemas of a list of tools, and checks the result of a call. Returns what is wrong with it. */
  after(request: Call, result: unknown): InvalidResult | undefined {
    if (request.method === "tools/list") {
      this.#learn(result, request.params?.cursor === undefined)
      return undefined
    }
    const call = this.#calls?.get(request)
    if (call === undefined) return undefined
    this.#calls?.delete(request)
    if (request.method === "tools/call" && isTask(request, result)) {
      this.#remember(result, call.tool)
      return undefined
    }
    if (request.method !== "tasks/get") return checkResult(call.tool, call.check, result)
    return Predicate.isObject(result) && "result" in result
      ? checkResult(call.tool, call.check, result.result)
      : undefined
  }

  /** Returns the tool whose result answers a request. */
  #toolOf({ method, params }: Call): string | undefined {
    if (method === "tools/call") return typeof params?.name === "string" ? params.name : undefined
    return (method === "tasks/result" || method === "tasks/get") && typeof params?.taskId === "string"
      ? this.#tasks?.get(params.taskId)
      : undefined
  }

  /** Remembers the tool that a task calls. */
  #remember(result: unknown, tool: string): void {
    const task = Predicate.isObject(result) && "task" in result ? result.task : result
    if (!Predicate.isObject(task) || !("taskId" in task) || typeof task.taskId !== "string") return
    const tasks = this.#tasks ??= new Map()
    tasks.set(task.taskId, tool)
    const [oldest] = tasks.keys()
    if (tasks.size > taskLimit && oldest !== undefined) tasks.delete(oldest)
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
          description: `the output schema of ${tool} cannot be used: ${messageOf(error)}`
        })
    })
    this.#checks.set(tool, check)
    return check
  }
}

const checkResult = (tool: string, check: Check, result: unknown): InvalidResult | undefined => {
  if (!Predicate.isObject(result) || ("isError" in result && result.isError === true)) return undefined
  const fault = "structuredContent" in result && result.structuredContent !== undefined
    ? check(result.structuredContent)
    : "it is missing"
  if (fault === undefined) return undefined
  const description = `the structured content of ${tool} does not match its output schema: ${
    fault.slice(0, quotedFault)
  }`
  return new InvalidResult({ method: "tools/call", description })
}
