/**
 * Methods of tasks: what the gateway does for the requests of clients about their tasks, in both eras.
 *
 * In the revision 2025-11-25, a server asks while the client waits for the result of the task. In 2026-07-28, the state of the task has the
 * questions, and the client sends the answers.
 *
 * @see https://modelcontextprotocol.io/specification/2025-11-25/basic/utilities/tasks
 * @see https://github.com/modelcontextprotocol/ext-tasks
 */
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import type { Reply } from "../client/clientCall.ts"
import type { ClientSession } from "../client/clientSession.ts"
import type { OpenQuestions, Question } from "../client/openQuestions.ts"
import type { Outcome, Task } from "../client/task.ts"
import { codes, RpcError } from "../protocol/rpc.ts"
import type { Context, Method } from "./methods.ts"

/** The key of `_meta` that names the task of a message. */
const relatedKey = "io.modelcontextprotocol/related-task"

const invalid = (message: string): RpcError => new RpcError({ code: codes.invalidParams, message })

const unknown = invalid("the task is not known: its id is not one of this client, or it is no longer kept")

const cancelled = (server: string | undefined): RpcError =>
  new RpcError({
    code: codes.serverFailed,
    message: "the task was cancelled, and the tool may or may not have run",
    data: { server, reason: "Cancelled", delivery: "Unknown", isRetryable: false }
  })

/** Does something with the task that the params name. */
const withTask = (use: (task: Task, context: Context) => Effect.Effect<unknown, RpcError>): Method => (context) =>
  Effect.suspend(() => {
    const { client, params: { taskId } } = context
    const task = client.tasks.find(taskId, client)
    return task === undefined ? Effect.fail(unknown) : use(task, context)
  })

const get = withTask((task, { client }) => Effect.succeed(client.isModern ? task.detailed : task.legacy))

const cancel = withTask((task, { client }) =>
  Effect.suspend(() => {
    if (client.isModern) {
      task.cancel()
      return Effect.succeed({})
    }
    if (task.outcome !== undefined) return Effect.fail(invalid(`the task has ended: ${task.legacy.status}`))
    task.cancel()
    return Effect.succeed(task.legacy)
  })
)

const update = withTask((task, { params: { inputResponses } }) =>
  Effect.suspend(() => {
    if (!Predicate.isObject(inputResponses)) return Effect.fail(invalid("inputResponses is not an object"))
    task.questions?.answer(inputResponses as Record<string, unknown>)
    return Effect.succeed({})
  })
)

/** Names the task of a message in its `_meta`. */
const related = (value: object | undefined, { id }: Task): object => ({
  ...value,
  _meta: { ...(value as { readonly _meta?: object } | undefined)?._meta, [relatedKey]: { taskId: id } }
})

/** Leaves out which task of its server a value belongs to: clients know others. */
export const unrelated = <A extends object>(value: A): A => {
  const { _meta: meta, ...rest } = value as A & { readonly _meta?: unknown }
  if (!Predicate.isObject(meta) || !(relatedKey in meta)) return value
  const { [relatedKey]: _, ...others } = meta as Record<string, unknown>
  return (Object.keys(others).length === 0 ? rest : { ...rest, _meta: others }) as A
}

const resultOf = (task: Task, outcome: Outcome): Effect.Effect<unknown, RpcError> => {
  switch (outcome._tag) {
    case "Completed":
      return Effect.succeed(related(outcome.result, task))
    case "Failed":
      return Effect.fail(outcome.error)
    case "Cancelled":
      return Effect.fail(cancelled(task.server))
  }
}

/** Sends a question as a request that belongs to a request of the client, unless another one has it. */
const send = (options: {
  readonly client: ClientSession
  readonly reply: Reply
  readonly task: Task
  readonly questions: OpenQuestions
  readonly key: string
  readonly question: Question
}): void => {
  const { client, key, question, questions, reply, task } = options
  if (question.sent?.carrier !== undefined) return
  const id = question.sent?.id ?? client.questions.expect((answer) => questions.settle(key, answer))
  if (id === undefined) return
  const sent = question.sent ??= {
    id,
    carrier: undefined,
    close: () => {
      const withdrawn = client.questions.withdraw(id)
      if (withdrawn !== undefined) sent.carrier?.related(withdrawn)
    }
  }
  if (reply.related(client.questions.encode(id, question.method, related(question.params, task)))) sent.carrier = reply
}

/** Waits for the outcome, and sends the questions of the server meanwhile. */
const result = withTask((task, { call: { reply }, client }) =>
  Effect.callback<unknown, RpcError>((resume) => {
    const proceed = () => {
      const { outcome, questions } = task
      if (outcome !== undefined) return resume(resultOf(task, outcome))
      if (questions === undefined) return
      for (const [key, question] of questions) send({ client, reply, task, questions, key, question })
    }
    const removeListener = task.onChange(proceed)
    proceed()
    return Effect.sync(() => {
      removeListener()
      // Another request for the result sends them again.
      for (const [, { sent }] of task.questions ?? []) if (sent?.carrier === reply) sent.carrier = undefined
    })
  })
)

const list: Method = ({ client, params: { cursor } }) =>
  cursor === undefined
    ? Effect.sync(() => ({ tasks: client.tasks.ofSession(client.name).map(({ legacy }) => legacy) }))
    : Effect.fail(invalid("the cursor is unknown"))

/** The methods of tasks, by era. */
export const taskMethods: Readonly<Record<"legacy" | "modern", ReadonlyMap<string, Method>>> = {
  legacy: new Map([["tasks/get", get], ["tasks/list", list], ["tasks/result", result], ["tasks/cancel", cancel]]),
  modern: new Map([["tasks/get", get], ["tasks/update", update], ["tasks/cancel", cancel]])
}
