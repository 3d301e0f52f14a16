/**
 * Answers the questions of servers at the terminal of the user: forms, pages to visit, and messages of a language model.
 *
 * **Details**
 *
 * A question without anyone to ask is declined, and a note says so: where stdin or stderr is no terminal, with `--no-input`, and while
 * several commands use the server and nothing tells whose call the question belongs to. One question is asked at a time. The end of the
 * input (Ctrl+D) cancels.
 *
 * @since 0.1.0
 */
import { type Handlers, type Origin, RequestRefused } from "@mcp-sessions/core/ClientHandlers"
import type { CreateMessageParams, ElicitFormParams, ElicitResult, ElicitUrlParams } from "@mcp-sessions/core/Mcp"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as Content from "./Content.ts"
import { type Field, fieldsOf } from "./FormField.ts"
import { quote, textOf } from "./internal/text.ts"
import { Invocation } from "./Invocation.ts"
import { Output } from "./Output.ts"
import { content, cut, line, name, type Shown } from "./Shown.ts"

/**
 * Answers of one command to the questions of a server.
 *
 * @category models
 * @since 0.1.0
 */
export interface Answers {
  readonly form: (params: ElicitFormParams, origin: Origin) => Effect.Effect<ElicitResult>
  readonly url: (params: ElicitUrlParams, origin: Origin) => Effect.Effect<ElicitResult>
  readonly sampling: NonNullable<Handlers["sampling"]>
  /** Notes a question that was declined because it may be for another command. */
  readonly noteUnclear: (origin: Origin) => Effect.Effect<void>
}

/**
 * Hands the questions of servers to the commands that use them.
 *
 * @category models
 * @since 0.1.0
 */
export interface Switchboard {
  readonly handlers: Handlers
  /** Answers the questions of a server, for as long as the scope. `tool` is the tool that the command calls. */
  readonly join: (options: {
    readonly server: string
    readonly tool?: string | undefined
    readonly answers: Answers
  }) => Effect.Effect<void, never, Scope.Scope>
}

interface Member {
  readonly server: string
  readonly tool?: string | undefined
  readonly answers: Answers
}

/**
 * Reference to the switchboard of the sessions that a command uses. Default: one that declines everything.
 *
 * @category references
 * @since 0.1.0
 */
export const CurrentSwitchboard: Context.Reference<Switchboard> = Context.Reference<Switchboard>(
  "@mcp-sessions/cli/Questions/CurrentSwitchboard",
  { defaultValue: () => ({ handlers: {}, join: () => Effect.void }) }
)

/** Starts all notes and waits for one of them: the terminal of another command may not take its note for a long time. */
const tellAll = (notes: ReadonlyArray<Effect.Effect<void>>): Effect.Effect<void> =>
  Effect.suspend(() => {
    const told = Deferred.makeUnsafe<void>()
    const tell = (note: Effect.Effect<void>) =>
      Effect.forkDetach({ startImmediately: true })(Effect.ensuring(note, Deferred.succeed(told, undefined)))
    return notes.length === 0
      ? Effect.void
      : Effect.andThen(Effect.forEach(notes, tell, { discard: true }), Deferred.await(told))
  })

/** Why nobody answers. */
const unanswered = "there is no one to ask"

/**
 * Makes a switchboard. A question goes to the one command that uses the server, or that calls the tool on whose behalf the server asks.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeSwitchboard = (): Switchboard => {
  const members = new Set<Member>()
  const candidatesFor = ({ call, server }: Origin): ReadonlyArray<Answers> => {
    const own = [...members].filter((member) => member.server === server)
    const callers = call?.tool === undefined ? [] : own.filter(({ tool }) => tool === call.tool)
    return (callers.length > 0 ? callers : own).map(({ answers }) => answers)
  }
  /** Asks the one command that a question is for. Of several, none is asked, and each of them notes that. */
  const ask = <A, E>(options: {
    readonly origin: Origin
    readonly question: (answers: Answers) => Effect.Effect<A, E>
    readonly otherwise: Effect.Effect<A, E>
  }): Effect.Effect<A, E> =>
    Effect.suspend(() => {
      const { origin, otherwise, question } = options
      const [first, ...others] = candidatesFor(origin)
      if (first !== undefined && others.length === 0) return question(first)
      const notes = (first === undefined ? [] : [first, ...others]).map(({ noteUnclear }) => noteUnclear(origin))
      return Effect.andThen(tellAll(notes), otherwise)
    })
  const declined: Effect.Effect<ElicitResult> = Effect.succeed({ action: "decline" })
  const refused = Effect.fail(new RequestRefused({ description: unanswered }))
  return {
    handlers: {
      elicitation: {
        form: (params, origin) => ask({ origin, question: ({ form }) => form(params, origin), otherwise: declined }),
        url: (params, origin) => ask({ origin, question: ({ url }) => url(params, origin), otherwise: declined })
      },
      sampling: (params, origin) =>
        ask({ origin, question: ({ sampling }) => sampling(params, origin), otherwise: refused })
    },
    join: (member) =>
      Effect.asVoid(
        Effect.acquireRelease(Effect.sync(() => members.add(member)), () => Effect.sync(() => members.delete(member)))
      )
  }
}

/** How much of a message is shown, in characters. A server may send megabytes. */
const messageLimit = 4000

/** How much of a label or a description is shown, in characters. */
const labelLimit = 200

/** How often a field is asked for before the form is cancelled. */
const attemptLimit = 20

const label = (text: string): Shown => cut(name(text), labelLimit)

/** Shows the choices of a field with their numbers. */
const choiceLines = ({ choices }: Field): ReadonlyArray<Shown> =>
  choices.map(({ label: text }, index) => line`    ${index + 1}. ${label(text)}`)

/** Shows a value that a field has if it is left empty. */
const initialText = (field: Field): string =>
  field.initial === undefined
    ? field.isRequired ? "" : " [none]"
    : field.isSecret
    ? " [unchanged]"
    : ` [${textOf(field.initial) ?? quote(field.initial)}]`

class Cancelled {
  readonly _tag = "Cancelled"
}

/** Reads a line; the end of the input cancels. */
const readLine = (options: { readonly prompt: Shown; readonly isHidden?: boolean }) =>
  Effect.flatMap(Invocation, ({ stdin }) => stdin.readLine({ prompt: options.prompt.text, isHidden: options.isHidden }))
    .pipe(Effect.filterOrFail((text) => text !== undefined, () => new Cancelled()))

/** Asks for one field until its value is valid. `undefined` leaves it out. */
const askField = Effect.fnUntraced(function*(field: Field) {
  const output = yield* Output
  if (field.description !== undefined) yield* output.note(line`  ${output.styleNote("dim", label(field.description))}`)
  yield* Effect.forEach(choiceLines(field), output.note, { discard: true })
  const prompt = line`  ${label(field.label)} (${field.expected})${label(initialText(field))}: `
  for (let attempt = 0; attempt < attemptLimit; attempt++) {
    const text = yield* readLine({ prompt, isHidden: field.isSecret })
    if (text.trim() === "" && (field.initial !== undefined || !field.isRequired)) return field.initial
    const value = field.parse(field.isSecret ? text : text.trim())
    if (Result.isSuccess(value)) return value.success
    yield* output.note(line`  ${output.styleNote("yellow", value.failure)}`)
  }
  return yield* Effect.fail(new Cancelled())
})

/** Asks which of several things to do, by the first letter of each; the first one is the default. */
const askAction = Effect.fnUntraced(function*<A extends string>(actions: readonly [A, ...Array<A>]) {
  const [first, ...others] = actions
  const words = [first, ...others].map((word, index) => `${index === 0 ? word : word.toLowerCase()}`).join(", ")
  for (let attempt = 0; attempt < attemptLimit; attempt++) {
    const text = (yield* readLine({ prompt: line`  ${words}? [${first}] ` })).trim().toLowerCase()
    const chosen = text === "" ? first : actions.find((action) => action.startsWith(text))
    if (chosen !== undefined) return chosen
  }
  return yield* Effect.fail(new Cancelled())
})

const askForm = Effect.fnUntraced(function*({ message, requestedSchema }: ElicitFormParams, { server }: Origin) {
  const output = yield* Output
  yield* output.note(line`${output.styleNote("bold", server)} asks: ${cut(content(message), messageLimit)}`)
  const action = yield* askAction(["answer", "decline", "cancel"])
  if (action !== "answer") return { action }
  const filled: Record<string, string | number | boolean | Array<string>> = {}
  for (const field of fieldsOf(requestedSchema)) {
    const value = yield* askField(field)
    if (value === undefined) continue
    // A key such as `__proto__` is an ordinary one.
    Object.defineProperty(filled, field.key, { value, enumerable: true, configurable: true, writable: true })
  }
  return { action: "accept" as const, content: filled }
})

const askUrl = Effect.fnUntraced(function*({ message, url }: ElicitUrlParams, { server }: Origin) {
  const output = yield* Output
  const page = URL.canParse(url) ? new URL(url) : undefined
  if (page === undefined || !["http:", "https:"].includes(page.protocol)) {
    yield* output.note(line`${server} asks to open an address that is no web page; declined`)
    return { action: "decline" as const }
  }
  yield* output.note(line`${output.styleNote("bold", server)} asks: ${cut(content(message), messageLimit)}`)
  yield* output.note(line`  ${cut(name(page.href), messageLimit)}`)
  yield* output.note(line`  on ${output.styleNote("bold", page.host)}`)
  const action = yield* askAction(["decline", "open in a browser", "visited it yourself"])
  if (action === "decline") return { action }
  if (action === "open in a browser") {
    const { openBrowser } = yield* Effect.promise(() => import("@mcp-sessions/transports/Consent"))
    if (!(yield* openBrowser(page))) yield* output.note(line`no browser can be opened here; open the address yourself`)
  }
  return { action: "accept" as const }
})

/** The largest number of lines of a reply. */
const replyLimit = 1000

const askSampling = Effect.fnUntraced(function*(
  { maxTokens, messages, systemPrompt }: CreateMessageParams,
  { server }: Origin
) {
  const output = yield* Output
  yield* output.note(
    line`${output.styleNote("bold", server)} asks for a message of a language model, of at most ${maxTokens} tokens:`
  )
  const spoken = messages.map(({ content: said, role }) =>
    [role, (Array.isArray(said) ? said : [said]).map(Content.formatBlock).join("\n")] as const
  )
  for (const [role, text] of [...(systemPrompt === undefined ? [] : [["system", systemPrompt] as const]), ...spoken]) {
    yield* output.note(line`  ${output.styleNote("bold", role)}: ${cut(content(text), messageLimit)}`)
  }
  if ((yield* askAction(["reply", "decline"])) === "decline") return undefined
  const lines: Array<string> = []
  while (lines.length < replyLimit) {
    const text = yield* readLine({ prompt: line`  ${lines.length === 0 ? "reply, ended by an empty line" : "…"}: ` })
    if (text === "") break
    lines.push(text)
  }
  return lines.join("\n")
})

/**
 * Makes the answers of a command: asks at the terminal of the invocation, or declines. `pause` runs each question, for time limits that
 * stand still meanwhile.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeAnswers = (options: {
  readonly input: boolean
  readonly pause: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
}): Effect.Effect<Answers, never, Invocation | Output> =>
  Effect.gen(function*() {
    const context = yield* Effect.context<Invocation | Output>()
    const canAsk = yield* canAskWith(options.input)
    const { note, progress } = yield* Output
    const oneAtATime = yield* Semaphore.make(1)
    const ask = <A, E>(question: Effect.Effect<A, E, Invocation | Output>) =>
      Effect.andThen(progress(undefined), question).pipe(
        options.pause,
        oneAtATime.withPermits(1),
        Effect.provideContext(context)
      )
    const noteDeclined = (server: string, why: string) =>
      note(line`${server} asked for input, which was declined: ${why}`)
    const decline = (server: string) => noteDeclined(server, options.input ? "no terminal" : "--no-input")
    const elicit = (question: Effect.Effect<ElicitResult, Cancelled, Invocation | Output>, { server }: Origin) =>
      canAsk
        ? Effect.catchTag(ask(question), "Cancelled", () => Effect.succeed<ElicitResult>({ action: "cancel" }))
        : Effect.as(decline(server), { action: "decline" as const })
    return {
      form: (params, origin) => elicit(askForm(params, origin), origin),
      url: (params, origin) => elicit(askUrl(params, origin), origin),
      noteUnclear: ({ server }) =>
        noteDeclined(server, "several commands use the server, and it does not say which of them asks"),
      sampling: (params, origin) => {
        const refused = Effect.fail(new RequestRefused({ description: "the user declined" }))
        if (!canAsk) return Effect.andThen(decline(origin.server), refused)
        return ask(askSampling(params, origin)).pipe(
          Effect.catchTag("Cancelled", () => Effect.undefined),
          Effect.flatMap((text) =>
            text === undefined ? refused : Effect.succeed({
              role: "assistant" as const,
              content: { type: "text" as const, text },
              model: "user",
              stopReason: "endTurn"
            })
          )
        )
      }
    }
  })

/**
 * Whether a user can be asked: stdin and stderr are terminals, and input is wanted.
 *
 * @category guards
 * @since 0.1.0
 */
export const canAskWith = (input: boolean): Effect.Effect<boolean, never, Invocation> =>
  Effect.map(Invocation, ({ stderr, stdin }) => input && stdin.isTerminal && stderr.isTerminal)
