/**
 * The one error of token stores. It never holds a value: causes that could quote one, such as errors of parsers and databases, are reduced
 * to their code.
 */
import * as Schema from "effect/Schema"

const operations = ["get", "put", "remove", "list", "lock", "open"] as const

/** The operation of a token store that failed; `open` builds the layer. */
export type Operation = (typeof operations)[number]

const reasons = {
  Unreadable: "the store cannot be read",
  Unwritable: "the store cannot be written",
  Broken: "the entry is broken",
  TooLarge: "the entry is too large",
  Exposed: "the store is not private to this user",
  LockTimeout: "the lock is held by another for too long",
  LockFailed: "the lock cannot be taken",
  Unsupported: "the store is not supported"
} as const

const reasonNames = Object.keys(reasons) as ReadonlyArray<keyof typeof reasons> as [
  keyof typeof reasons,
  ...Array<keyof typeof reasons>
]

/** What stopped an operation of a token store. */
export type Reason = keyof typeof reasons

/** Fails the operations of a token store. */
export class TokenStoreFailed
  extends Schema.TaggedError<TokenStoreFailed>("@mcp-sessions/transports/TokenStoreFailed")("TokenStoreFailed", {
    operation: Schema.Literals(operations),
    reason: Schema.Literals(reasonNames),
    /** The place and the fact, such as a path and what is wrong with it. Never a value. */
    description: Schema.String,
    /** The error code of the system or of the database, if there is one. */
    code: Schema.optionalKey(Schema.String)
  })
{
  /** Whether the same operation may succeed later without a change by a person. */
  get isRetryable(): boolean {
    return this.reason === "LockTimeout" || this.reason === "Unreadable" || this.reason === "Unwritable"
  }
  override get message(): string {
    const code = this.code === undefined ? "" : ` (${this.code})`
    return `token store, ${this.operation}: ${reasons[this.reason]}: ${this.description}${code}`
  }
}

/** Whether a value is the failure of a token store. */
export const isTokenStoreFailed = Schema.is(TokenStoreFailed)

/** Returns the error code of the system, of SQLite or of a database driver. */
const codeOf = (error: unknown): string | undefined => {
  if (typeof error !== "object" || error === null) return undefined
  if ("errcode" in error && typeof error.errcode === "number") return `SQLite ${error.errcode}`
  if ("code" in error && typeof error.code === "string") return error.code
  return "cause" in error ? codeOf(error.cause) : undefined
}

/** Makes the failure of an operation out of a foreign error, of which only the code is kept. */
export const failure = (options: {
  readonly operation: Operation
  readonly reason: Reason
  readonly description: string
  readonly error?: unknown
}): TokenStoreFailed => {
  const { description, error, operation, reason } = options
  const code = codeOf(error)
  return new TokenStoreFailed({ operation, reason, description, ...(code === undefined ? {} : { code }) })
}
