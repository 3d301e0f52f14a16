/**
 * The flag of `serve` for limits that several processes share.
 */
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { UsageError } from "../Failure.ts"
import { quote } from "../internal/text.ts"
import { Invocation } from "../Invocation.ts"
import { readFlagFileIfThere } from "./flagFile.ts"
import { decodeSecretUrl } from "./secretUrl.ts"

/** The variable with the URL of Redis. */
const redisVariable = "MCP_SESSIONS_REDIS_URL"

export const redisFlag = Flag.String("redis").pipe(
  Flag.withMetavar("url"),
  Flag.withDescription(
    `URL of the Redis server with which processes share rates and circuits, or a file with that URL (default: ${redisVariable})`
  ),
  Flag.optional
)

const isDecodable = (text: string): boolean => {
  try {
    decodeURIComponent(text)
    return true
  } catch {
    return false
  }
}

const expected = {
  example: "redis://user:password@host:6379",
  isExpected: ({ host, password, pathname, protocol, username }: URL) =>
    /^rediss?:$/.test(protocol) && host !== "" && /^\/?\d{0,5}$/.test(pathname) && isDecodable(username) &&
    isDecodable(password)
}

/** Reads the URL of Redis from the flag or the environment. `undefined` if both are empty. */
const readUrl = Effect.fnUntraced(function*(redis: Option.Option<string>) {
  const { environment } = yield* Invocation
  if (Option.isNone(redis)) {
    const text = environment[redisVariable] ?? ""
    return text === "" ? undefined : yield* decodeSecretUrl({ ...expected, text, where: redisVariable })
  }
  const { value } = redis
  if (!/^\w+:\/\//.test(value)) {
    const text = yield* readFlagFileIfThere({ flag: "redis", path: value })
    if (text !== undefined) return yield* decodeSecretUrl({ ...expected, text, where: "--redis" })
    // Text before an @ may hold a password.
    const named = value.includes("@") ? "the value" : quote(value)
    return yield* new UsageError({
      problems: [`--redis: ${named} is neither a file nor a redis:// or rediss:// URL`]
    })
  }
  if ((URL.parse(value)?.password ?? "") !== "") {
    return yield* new UsageError({
      problems: ["--redis: other users of this machine can read a password on the command line"],
      hint: `set ${redisVariable} to the URL, or pass a file with it: --redis <file>`
    })
  }
  return yield* decodeSecretUrl({ ...expected, text: value, where: "--redis" })
})

/** Makes the stores of rates and circuits. Other commands start faster without the modules of Redis. */
export const readStores = Effect.fnUntraced(function*(redis: Option.Option<string>) {
  const url = yield* readUrl(redis)
  if (url === undefined) return Layer.empty
  const { layer } = yield* Effect.promise(() => import("../internal/redisStores.ts"))
  return layer(url)
})
