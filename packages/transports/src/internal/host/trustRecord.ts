/**
 * The record of trusted files: a directory that only its user can read, with one file for each decision.
 *
 * The name of a file is the SHA-256 of the path and the content that the user trusts, so processes never write one file for different decisions.
 */
import { type FileContent, TrustFailed } from "@mcp-sessions/core/Host"
import * as Effect from "effect/Effect"
import * as UserDirectories from "effect/persistence/UserDirectories"
import { createHash } from "node:crypto"
import { join } from "node:path"
import * as PrivateFiles from "../tokenStore/privateFiles.ts"

const directory = UserDirectories.make().config("mcp-sessions").pipe(
  Effect.map((path) => join(path, "trusted")),
  Effect.mapError(() => new TrustFailed({ description: "this user has no home directory" }))
)

const recordOf = ({ file, text }: FileContent) =>
  Effect.map(directory, (directory) => {
    const hash = createHash("sha256").update(`${file.length}:${file}`).update(text).digest("hex")
    return { directory, path: join(directory, hash) }
  })

/** Returns the path of the record of a decision. There is a file while the user trusts the content. */
export const trustRecordOf = (content: FileContent): Effect.Effect<string, TrustFailed> =>
  Effect.map(recordOf(content), ({ path }) => path)

const toTrustFailed = ({ message }: { readonly message: string }) => new TrustFailed({ description: message })

/** Whether there is a decision for this content of a file. */
export const isTrusted = (content: FileContent): Effect.Effect<boolean, TrustFailed> =>
  Effect.flatMap(recordOf(content), ({ path }) =>
    Effect.map(
      Effect.mapError(PrivateFiles.read("get", path), toTrustFailed),
      (text) => text !== undefined
    ))

/** Records the decision. The record names the file for people. */
export const trust = (content: FileContent): Effect.Effect<void, TrustFailed> =>
  Effect.flatMap(recordOf(content), ({ directory, path }) =>
    Effect.mapError(
      Effect.andThen(
        PrivateFiles.ensureDirectory("put", directory),
        PrivateFiles.replace(path, `${content.file}\n`)
      ),
      toTrustFailed
    ))
