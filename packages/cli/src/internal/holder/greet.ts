/**
 * The beginning of a conversation with a client: the holder accepts its command, declines it or refuses the client.
 */
import * as Effect from "effect/Effect"
import { Buffer } from "node:buffer"
import { timingSafeEqual } from "node:crypto"
import * as Path from "node:path"
import { version as programVersion } from "../../Version.ts"
import { kinds, protocolVersion } from "../socket/frames.ts"
import { heldCommandOf } from "../socket/heldCommand.ts"
import type { Hello, RemoteClient } from "../socket/remoteClient.ts"
import { selectionVariables } from "../socket/variables.ts"

/** How long a client may take to say what it wants, and to start. */
const greetingTimeout = "5 seconds"

/** Which clients a holder serves. */
export interface Admission {
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly token: string | undefined
  /** Whether the holder runs commands now. */
  readonly isOpen: () => boolean
  /** Whether the configuration is the one that the sessions were opened with. */
  readonly isCurrent: Effect.Effect<boolean>
  /** Whether a directory has a configuration that comes before that of the sessions. */
  readonly hasOwnConfiguration: (directory: string) => Effect.Effect<boolean>
  /** The directory that the sessions are held for. */
  readonly project: string
}

const hasToken = (expected: string | undefined, given: string | undefined): boolean => {
  if (expected === undefined) return true
  const [left, right] = [Buffer.from(expected), Buffer.from(given ?? "")]
  return left.length === right.length && timingSafeEqual(left, right)
}

/** The paths of a variable that lists paths, which may be relative to the directory of a process. */
const pathsOf = (value: string | undefined, directory: string): string =>
  (value ?? "").split(Path.delimiter).filter((path) => path !== "").map((path) => Path.resolve(directory, path)).join(
    "\0"
  )

/** Whether a client would select the same configuration and the same tokens. */
const hasSameSelection = ({ directory, selection }: Hello, { environment, project }: Admission): boolean =>
  selectionVariables.every((name) => pathsOf(selection[name], directory) === pathsOf(environment[name], project))

/** The commands that concern the holder itself, whatever has changed since it was started. */
const own: ReadonlySet<string | undefined> = new Set(["down", "restart", "status"])

const staleWarning = (project: string): string =>
  `the configuration has changed since \`up\` was started in ${project}; start it again to use its sessions`

/** Greets a client and waits for its start. Succeeds with its hello, or with `undefined` if it is not served. */
export const greet = (
  ...[client, admission]: readonly [client: RemoteClient, admission: Admission]
): Effect.Effect<Hello | undefined> =>
  Effect.gen(function*() {
    const { hasOwnConfiguration, isCurrent, isOpen, project, token } = admission
    const { hello, version } = yield* client.hello
    if (version !== protocolVersion || hello === undefined || !hasToken(token, hello.token)) {
      const message = version === protocolVersion
        ? "the process that holds the sessions did not understand the request"
        : `the sessions are held by mcp-sessions ${programVersion}, which does not understand this version; start \`with\` or \`up\` again`
      client.send(kinds.refuse, { message })
      return undefined
    }
    if (!isOpen() || !hasSameSelection(hello, admission)) {
      client.send(kinds.decline, {})
      return undefined
    }
    if (!own.has(heldCommandOf(hello.words))) {
      if (yield* hasOwnConfiguration(hello.directory)) {
        client.send(kinds.decline, {})
        return undefined
      }
      if (!(yield* isCurrent)) {
        client.send(kinds.decline, { warning: staleWarning(project) })
        return undefined
      }
    }
    client.send(kinds.accept, {})
    yield* client.started
    return hello
  }).pipe(
    Effect.raceFirst(client.closed),
    Effect.timeoutOrElse({ duration: greetingTimeout, orElse: () => Effect.undefined }),
    Effect.map((hello) => hello ?? undefined)
  )
