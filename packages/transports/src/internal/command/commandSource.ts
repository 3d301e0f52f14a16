/**
 * Headers that a command prints: kept until their time is over or a server refuses them, and shared by all connections of one owner to one
 * server.
 */
import { AuthorizationFailed, AuthRequired } from "@mcp-sessions/core/SessionError"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"
import type { Authorizer, Challenge, Verdict } from "../network/authorizer.ts"
import { type Command, CommandFailed, runCommand } from "./runCommand.ts"

export interface CommandSourceOptions {
  readonly command: Command
  /** How long the command may take, in milliseconds. */
  readonly timeout: number
  /** How long its headers are used, in milliseconds; `undefined`: until a server refuses them. */
  readonly timeToLive: number | undefined
  /** The names of the headers that the definition has, in lower case. */
  readonly taken: ReadonlySet<string>
  /** The time, in milliseconds. */
  readonly now: () => number
  /** Runs an effect in the scope of the layer. The promise never rejects. */
  readonly run: <A, E>(effect: Effect.Effect<A, E>) => Promise<Exit.Exit<A, E>>
}

/** The names and values that HTTP allows. A line break in a value would begin another header. */
const Headers = Schema.Record(
  Schema.String.check(Schema.isPattern(/^[!#$%&'*+.^_`|~0-9a-z-]{1,256}$/i)),
  Schema.String.check(Schema.isPattern(/^[\t\x20-\x7e\x80-\xff]*$/))
)

const decode = Schema.decodeUnknownEffect(Schema.fromJsonString(Headers))

const isSame = (left: ReadonlyArray<string>, right: ReadonlyArray<string>): boolean =>
  left.length === right.length && left.every((text, index) => text === right[index])

const none: ReadonlyArray<string> = []

export class CommandSource implements Authorizer {
  readonly #options: CommandSourceOptions
  #headers = none
  #secrets = none
  #staleAt = 0
  #running: Promise<Exit.Exit<void, CommandFailed>> | undefined

  constructor(options: CommandSourceOptions) {
    this.#options = options
  }

  readonly secrets = () => this.#secrets

  get #isFresh(): boolean {
    return this.#options.now() < this.#staleAt
  }

  /** Runs the command, unless its headers are still of use. */
  get load(): Effect.Effect<void, CommandFailed> {
    return Effect.suspend(() => this.#isFresh ? Effect.void : Effect.flatten(Effect.promise(() => this.#refresh())))
  }

  headers(): ReadonlyArray<string> | Promise<ReadonlyArray<string>> {
    return this.#isFresh ? this.#headers : this.#refresh().then(() => this.#headers)
  }

  async challenged({ status, used }: Challenge): Promise<Verdict> {
    if (status !== 401) return new AuthRequired({ status })
    // The command has run while the request was under way.
    if (!isSame(used, this.#headers)) return undefined
    const exit = await this.#refresh()
    if (Exit.isFailure(exit)) {
      const description = "the command for the headers failed"
      return new AuthorizationFailed({ description, isRetryable: true, delivery: "Rejected" })
    }
    return isSame(used, this.#headers)
      ? new AuthRequired({ status, description: "the server refuses the headers of the command" })
      : undefined
  }

  /** Runs the command. All that wait share one run. */
  #refresh(): Promise<Exit.Exit<void, CommandFailed>> {
    return this.#running ??= this.#options.run(this.#runCommand).finally(() => {
      this.#running = undefined
    })
  }

  get #runCommand(): Effect.Effect<void, CommandFailed> {
    const { command, now, taken, timeToLive = Number.POSITIVE_INFINITY, timeout } = this.#options
    return runCommand({ ...command, timeout }).pipe(
      Effect.flatMap((text) =>
        Effect.mapError(
          decode(text),
          () => new CommandFailed({ message: "the command printed something else than a JSON object of headers" })
        )
      ),
      Effect.filterOrFail(
        (headers) => Object.keys(headers).every((name) => !taken.has(name.toLowerCase())),
        () => new CommandFailed({ message: "the command printed a header that the definition has already" })
      ),
      Effect.map((headers) => {
        this.#headers = Object.entries(headers).flat()
        this.#secrets = [...Object.values(headers), ...this.#secrets].slice(0, 16)
        this.#staleAt = now() + timeToLive
      })
    )
  }
}
