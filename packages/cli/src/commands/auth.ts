/**
 * `auth`: signs in to servers and out of them, and shows the sign-ins.
 */
import * as RetryPolicy from "@mcp-sessions/core/RetryPolicy"
import { Sessions } from "@mcp-sessions/core/Sessions"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Result from "effect/Result"
import type { ConfiguredServer } from "../Configured.ts"
import { UsageError } from "../Failure.ts"
import { Output } from "../Output.ts"
import { line } from "../Shown.ts"
import * as SignIn from "../SignIn.ts"
import * as SignInStatus from "../SignInStatus.ts"
import { columns } from "../Table.ts"
import { root } from "./root.ts"
import { disabled, findServers, loadConfigured, noteNoServers, selectServer } from "./selection.ts"
import { withSessions } from "./sessions.ts"

const server = Argument.String("server").pipe(Argument.withDescription("Name of a configured server, or a URL"))

/** No time limit of the command: a user takes minutes, and every request has a limit of its own. */
const unlimited = { limit: Duration.infinity, retry: RetryPolicy.never }

const rowOf = Effect.fnUntraced(function*({ definition, name }: ConfiguredServer) {
  const config = yield* Effect.fromResult(definition)
  const signIn = yield* Effect.flatMap(Sessions, ({ signInState }) => signInState(name))
  const now = yield* Clock.currentTimeMillis
  return SignInStatus.rowOf({ name, signIn, isPossible: yield* SignIn.isPossible(config), now })
})

/** Explains why a definition leaves no room for a sign-in. */
const impossible = ({ name, transport }: ConfiguredServer): UsageError =>
  new UsageError({
    problems: [
      transport === "stdio"
        ? `"${name}" is a stdio server, which takes no sign-in; give it credentials in "env"`
        : `the definition of "${name}" allows no sign-in: it has "auth": false, or an Authorization header`
    ]
  })

/**
 * Signs in to one server. Connects first: the server itself says best where to sign in, and for which scope. If it accepts the stored tokens,
 * or lets everyone connect, the user is asked all the same.
 */
const signIn = Effect.fnUntraced(function*(server: ConfiguredServer, hasAsked: Effect.Effect<boolean>) {
  const { progress } = yield* Output
  const sessions = yield* Sessions
  yield* progress(line`connecting to ${server.name} …`)
  const connected = yield* Effect.exit(Effect.scoped(sessions.get(server.name)))
  if (Exit.isSuccess(connected) && !(yield* hasAsked)) yield* sessions.signIn(server.name)
  return { row: yield* rowOf(server), connected }
})

const login = Command.make("login", {
  server,
  browser: Flag.Boolean("browser").pipe(
    Flag.withDescription("Open the page of the sign-in in a browser (--no-browser: only print its address)"),
    Flag.withDefault(true)
  )
}, ({ browser, server: name }) =>
  Effect.gen(function*() {
    const output = yield* Output
    const { json } = yield* root
    const { server } = yield* selectServer([name])
    if (server.isDisabled) return yield* disabled(server)
    if (!(yield* SignIn.isPossible(yield* Effect.fromResult(server.definition)))) return yield* impossible(server)
    let hasAsked = false
    const onAsk = Effect.sync(() => {
      hasAsked = true
    })
    const { connected, row } = yield* signIn(server, Effect.sync(() => hasAsked)).pipe(
      withSessions({ ...unlimited, servers: [server], consent: { browser, json, onAsk } }),
      Effect.ensuring(output.progress(undefined))
    )
    // The tokens of a sign-in are kept, also if the server fails for another reason.
    if (row.state === "signed_in" && (hasAsked || Exit.isSuccess(connected))) {
      yield* json
        ? output.printJson(row)
        : output.print(SignInStatus.sentence(row, yield* Clock.currentTimeMillis))
    }
    yield* connected
  })).pipe(
    Command.withDescription("Sign in to a server, in a browser"),
    Command.withExamples([
      { command: "mcp-sessions auth login files", description: "Open a browser, and wait until it has signed in" },
      {
        command: "mcp-sessions auth login files --no-browser",
        description: "Print the address, for a browser on another machine"
      }
    ])
  )

const logout = Command.make("logout", { server }, ({ server: name }) =>
  Effect.gen(function*() {
    const output = yield* Output
    const { json } = yield* root
    const servers = [(yield* selectServer([name])).server]
    const rows = yield* Effect.forEach(servers, (server) =>
      Effect.gen(function*() {
        const before = yield* rowOf(server)
        yield* Effect.flatMap(Sessions, ({ signOut }) => signOut(server.name))
        return { before, after: yield* rowOf(server) }
      })).pipe(withSessions({ ...unlimited, servers }))
    yield* Effect.forEach(rows, ({ after, before: { issuer } }) =>
      json
        ? output.printJson(after)
        : output.print(issuer === null ? line`${name} was not signed in` : line`signed out of ${name} at ${issuer}`), {
      discard: true
    })
  })).pipe(Command.withDescription("Forget the tokens of a server, and revoke them where the server offers that"))

const status = Command.make("status", {
  servers: Argument.String("server").pipe(
    Argument.withDescription("Servers to show (default: all enabled servers)"),
    Argument.variadic()
  )
}, ({ servers: names }) =>
  Effect.gen(function*() {
    const output = yield* Output
    const { json } = yield* root
    const all = yield* loadConfigured
    const servers = names.length === 0
      ? all.servers.filter(({ definition, isDisabled }) => !isDisabled && Result.isSuccess(definition))
      : yield* findServers(all, names)
    yield* SignIn.checkStore
    const rows = yield* Effect.forEach(servers, rowOf).pipe(withSessions({ ...unlimited, servers }))
    if (json) return yield* output.printJson({ schema: "mcp-sessions/1", servers: rows })
    if (servers.length === 0) return yield* noteNoServers(all)
    const now = yield* Clock.currentTimeMillis
    yield* Effect.forEach(columns(rows.map((row) => SignInStatus.cells(row, now))), output.print, { discard: true })
  })).pipe(
    Command.withDescription(
      "Show whether a sign-in to each server is stored, who issued it, its scope and its expiry; asks no server"
    )
  )

export const auth = Command.make("auth").pipe(
  Command.withDescription(
    `Sign in to servers, and out of them. Tokens are kept for this user, or in the directory ${SignIn.directoryVariable}`
  ),
  Command.withSubcommands([login, logout, status])
)
