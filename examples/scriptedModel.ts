/**
 * A language model that says and calls what it is told to: in its place, a program has one of `@effect/ai-anthropic`, `@effect/ai-openai`, …
 */
import { Effect, Layer, Stream } from "effect"
import { LanguageModel } from "effect/ai"

interface Call {
  readonly name: string
  readonly params: Readonly<Record<string, unknown>>
}

const usage = {
  inputTokens: { uncached: undefined, total: undefined, cacheRead: undefined, cacheWrite: undefined },
  outputTokens: { total: undefined, text: undefined, reasoning: undefined }
}

/** Makes the calls of each turn, and ends with a text. */
export const layer = (
  turns: ReadonlyArray<ReadonlyArray<Call>>,
  text: string
): Layer.Layer<LanguageModel.LanguageModel> =>
  Layer.effect(
    LanguageModel.LanguageModel,
    LanguageModel.make({
      generateText: ({ prompt }) =>
        Effect.sync(() => {
          const turn = prompt.content.filter(({ role }) => role === "tool").length
          const calls = turns[turn]
          return calls === undefined
            ? [{ type: "text", text }, { type: "finish", reason: "stop", usage, response: undefined }]
            : [
              ...calls.map((call, index) => ({ type: "tool-call" as const, id: `${turn}-${index}`, ...call })),
              { type: "finish", reason: "tool-calls", usage, response: undefined }
            ]
        }),
      streamText: () => Stream.empty
    })
  )
