/**
 * Starts the process of a call before the program is loaded. Loads nothing but Node.
 *
 * **Details**
 *
 * The process of a command after `--` is known from the words. That of a configured server is known from the memo of an earlier call, if all
 * that decided it is as it was: files and their contents, files that are missing, the record of trusted files, variables, the working directory and
 * the version of this program. The call itself then reads the configuration as ever, and takes the process only if it would have started that.
 */
import * as EarlyProcess from "@mcp-sessions/transports/EarlyProcess"
import { join } from "node:path"
import process from "node:process"
import { version } from "../../Version.ts"
import { ownCacheDirectory } from "../compileCache.ts"
import { type CallWords, callWordsOf } from "./callWords.ts"
import { textsOf } from "./facts.ts"
import { type Launch, launchOf, type Memo } from "./memo.ts"
import { MemoStore } from "./memoStore.ts"

const { env, platform } = process

/** Set to `0`, it has nothing started early and no memo written. */
const switchVariable = "MCP_SESSIONS_EARLY_START"

/** A call whose process can be started early. */
export interface EarlyLaunch {
  /** The process that was started. */
  readonly early: EarlyProcess.EarlyProcess | undefined
  /** Whether the memo is new enough to say something about the server. */
  readonly isRecent: boolean
  /** Whether the server is of the legacy era, as far as the memo says. */
  readonly isLegacy: boolean
  /** Where the memo of this call is; `undefined` for a call that needs none. */
  readonly memo: { readonly directory: string; readonly name: (store: MemoStore) => string } | undefined
}

/** The working directory. It may have been removed while the process is in it. */
const workingDirectory = (): string | undefined => {
  try {
    return process.cwd()
  } catch {
    return undefined
  }
}

/** Starts the process of the memo of a call. Does nothing without a memo, or if one of its inputs has changed. */
const startRemembered = ({ directory, name }: NonNullable<EarlyLaunch["memo"]>): Omit<EarlyLaunch, "memo"> => {
  const store = MemoStore.open(directory)
  const kept = store?.read(name(store))
  const launch = store === undefined || kept === undefined ? undefined : remembered(store, kept.memo)
  if (launch === undefined || kept === undefined) return nothing
  const { isRecent, memo } = kept
  return { early: EarlyProcess.start(launch), isRecent, isLegacy: isRecent && memo.isLegacy }
}

const nothing = { early: undefined, isRecent: false, isLegacy: false }

/** Returns what a memo starts; `undefined` if something has changed. */
const remembered = (...[store, memo]: readonly [MemoStore, Memo]): Launch | undefined => {
  const values = memo.variables.map((variable) => [variable, env[variable] ?? null])
  if (store.hash(values) !== memo.values) return undefined
  const texts = textsOf(memo.facts)
  return texts === undefined
    ? undefined
    : launchOf(memo.launch, { facts: memo.facts, texts, environment: env, inherited: EarlyProcess.inherited() })
}

const memoOf = ({ config, server }: CallWords): EarlyLaunch["memo"] => {
  const cache = ownCacheDirectory()
  const directory = workingDirectory()
  return cache === undefined || directory === undefined ? undefined : {
    directory: join(cache, "launches"),
    name: (store) => store.hash([version, platform, directory, config, server])
  }
}

/** Starts the process of a call, if it is known. `undefined`: the words are no such call. */
export const startEarly = (words: ReadonlyArray<string>): EarlyLaunch | undefined => {
  if (platform === "win32" || env[switchVariable] === "0") return undefined
  const call = callWordsOf(words)
  if (call === undefined) return undefined
  const [command, ...args] = call.command
  if (command !== undefined) {
    const launch: Launch = { command, args, cwd: undefined, env: EarlyProcess.inherited(), given: [] }
    return { ...nothing, early: EarlyProcess.start(launch), memo: undefined }
  }
  const memo = memoOf(call)
  return { ...(memo === undefined ? nothing : startRemembered(memo)), memo }
}
