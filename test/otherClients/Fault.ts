/**
 * The faults that clients are put to. `docs/faults.md` describes them; each makes one or more rows of the table in the README.
 */
import { Effect } from "effect"
import { setTimeout } from "node:timers/promises"
import { fixture } from "../fixtures/fixture.ts"
import { type Ledger, makeLedger } from "../fixtures/ledger.ts"
import type { ComparedClient, ComparedSession, ServerOf } from "./ComparedClient.ts"
import * as Observe from "./observe.ts"
import { Program } from "./Program.ts"

export interface Fault {
  readonly name: string
  /** The titles of its rows, each with the verdict that a client should get. */
  readonly rows: ReadonlyArray<readonly [title: string, good: string]>
  /** Gives one cell for each row. */
  readonly run: (client: ComparedClient, place: Place) => Promise<ReadonlyArray<Observe.Cell>>
}

/** The ledger of the servers of a fault. */
interface Place extends Ledger {
  /** How long to wait after a client closed before its processes are counted: some clients start servers then. In milliseconds. */
  readonly settle: number
}

/** Creates the ledger. Kills the processes that are left when the scope closes, each by its id. */
export const makePlace = Effect.fnUntraced(function*(settle: number) {
  const ledger = yield* makeLedger
  yield* Effect.addFinalizer(() =>
    // One may have ended in between.
    Effect.forEach(Observe.leftOf(ledger), ({ pid }) => Effect.ignore(Effect.try(() => process.kill(pid, "SIGKILL"))))
  )
  return { ...ledger, settle }
})

const program = (name: string) => fixture(`../otherClients/fixtures/${name}.mjs`)

const stdio = ({ file }: Place, ...words: ReadonlyArray<string>): ServerOf => ({
  kind: "stdio",
  command: process.execPath,
  args: [program("stdio"), file, ...words]
})

/** Puts a shell that waits around a server, as launchers of packages do. */
const wrapped = ({ file }: Place): ServerOf => ({
  kind: "stdio",
  command: "sh",
  args: ["-c", `"${process.execPath}" "${program("stdio")}" "${file}" deaf; true`]
})

/** Connects, observes, and closes the session. */
const withSession = async <A>(
  session: ComparedSession,
  observe: (session: ComparedSession) => Promise<A>
): Promise<A> => {
  const seen = await observe(session)
  await Observe.outcomeOf(session.close)
  return seen
}

/** Does the same with a server over HTTP. */
const overHttp = (
  observe: (session: ComparedSession, server: Program, place: Place) => Promise<ReadonlyArray<Observe.Cell>>,
  ...words: ReadonlyArray<string>
): Fault["run"] =>
async (client, place) => {
  const server = await new Program([program("net"), place.file, ...words]).start()
  const session = await client.connect({ kind: "http", url: `http://127.0.0.1:${server.port}/mcp` })
  const cells = await withSession(session, (session) => observe(session, server, place))
  await server.stop()
  return cells
}

/** Calls once, closes the client, and looks for processes. */
const closing = (server: (place: Place) => ServerOf): Fault["run"] => async (client, place) => {
  const session = await client.connect(server(place))
  await Observe.echo(session)
  const closed = await Observe.outcomeOf(session.close, 2 * Observe.outcomeTimeout)
  await setTimeout(place.settle)
  const started = place.read("server").length
  const remarks = [
    ...(closed._tag === "Failed" ? [Observe.failureOf(closed)] : []),
    ...(started > 1 ? [`server started ${started} times`] : [])
  ]
  return [{
    verdict: Observe.leftOf(place).map(({ role }) => role).join(" + ") || "nothing",
    measured: closed._tag === "Pending" ? "pending" : Observe.duration(closed.millis),
    detail: remarks.join("; ") || undefined
  }]
}

const runsOf = ({ read }: Place, id = "1"): number => read("call").filter((call) => call === `charge ${id}`).length

/** Charges once: how often it ran, what the caller gets, and whether another call goes through after that. */
const chargeAndNext = async (session: ComparedSession, place: Place): Promise<ReadonlyArray<Observe.Cell>> => {
  const charged = await Observe.charge(session)
  const next = await Observe.nextCall(session)
  return [{ verdict: Observe.times([runsOf(place)]) }, Observe.cellOf(charged), next]
}

const ids = Array.from({ length: 20 }, (_, id) => `call-${id}`)

/** How long requests for a stream are counted, in milliseconds. */
const watchTime = 5000

export const faults: ReadonlyArray<Fault> = [
  {
    name: "plain",
    rows: [["plain server, closed: left alive", "nothing"]],
    run: closing(stdio)
  },
  {
    name: "grandchild",
    rows: [["server with a child, closed: left alive", "nothing"]],
    run: closing((place) => stdio(place, "grandchild"))
  },
  {
    name: "wrapper",
    rows: [["deaf server behind `sh -c`, closed: left alive", "nothing"]],
    run: closing(wrapped)
  },
  {
    name: "killed",
    rows: [
      ["process killed under a tool: times it ran", "1×"],
      ["… the caller gets", "OutcomeUnknown"],
      ["… the next call", "ok"]
    ],
    run: async ({ connect }, place) =>
      withSession(await connect(stdio(place, "mortal")), (session) => chargeAndNext(session, place))
  },
  {
    name: "aborted",
    rows: [["call aborted: the server is told", "yes"], ["… the next call", "ok"]],
    run: async ({ connect }, place) =>
      withSession(await connect(stdio(place)), async (session) => {
        const controller = new AbortController()
        const slow = Observe.outcomeOf(() => session.call("slow", { id: "1" }, controller.signal))
        await Observe.holdsWithin(Observe.outcomeTimeout, () => place.read("call").includes("slow"))
        controller.abort()
        const ended = await slow
        const isTold = await Observe.holdsWithin(Observe.outcomeTimeout, () => place.read("cancelled").includes("slow"))
        return [
          { verdict: isTold ? "yes" : "no", detail: `the caller: ${Observe.failureOf(ended)}` },
          await Observe.nextCall(session)
        ]
      })
  },
  {
    name: "forgotten",
    rows: [
      ["HTTP session forgotten, 20 calls: answered", "20"],
      ["… new sessions", "1"],
      ["… times each ran", "1×"],
      ["… the next call", "ok"]
    ],
    run: overHttp(async (session, server, place) => {
      await Observe.echo(session)
      const before = place.read("initialize").length
      await server.order("forget")
      const outcomes = await Promise.all(ids.map((id) => Observe.charge(session, id)))
      const failures = outcomes.filter(({ _tag }) => _tag !== "Answered").map(Observe.failureOf)
      const sessions = place.read("initialize").length - before
      return [
        { verdict: String(ids.length - failures.length), detail: [...new Set(failures)].join(", ") || undefined },
        { verdict: String(sessions) },
        { verdict: Observe.times(ids.map((id) => runsOf(place, id))) },
        await Observe.nextCall(session)
      ]
    })
  },
  {
    name: "lost",
    rows: [["event stream ends without the answer: the caller gets", "OutcomeUnknown"], ["… times it ran", "1×"]],
    run: overHttp(async (session, server, place) => {
      await server.order("cut")
      return [Observe.cellOf(await Observe.charge(session)), { verdict: Observe.times([runsOf(place)]) }]
    })
  },
  {
    name: "reset",
    rows: [
      ["connection reset under a tool: times it ran", "1×"],
      ["… the caller gets", "OutcomeUnknown"],
      ["… the next call", "ok"]
    ],
    run: overHttp(async (session, server, place) => {
      await server.order("reset 1")
      return chargeAndNext(session, place)
    })
  },
  {
    name: "restarted",
    rows: [["HTTP server restarted: the next call", "ok"]],
    run: overHttp(async (session, server) => {
      await Observe.echo(session)
      await server.kill()
      await server.start()
      return [await Observe.nextCall(session)]
    })
  },
  {
    name: "closed",
    rows: [["stream of server messages closed at once, for 5 s", "backs off"]],
    run: overHttp(async (session, _, place) => {
      await Observe.echo(session)
      const at = () => place.read("stream").map(Number)
      await Observe.holdsWithin(watchTime, () => at().length > 0)
      const [first] = at()
      if (first === undefined) return [{ verdict: "does not ask" }]
      await setTimeout(watchTime)
      const within = at().filter((time) => time <= first + watchTime)
      const pauses = within.slice(1).map((time, index) => time - (within[index] ?? 0))
      const [pause] = pauses
      if (pause === undefined) return [{ verdict: "gives up", measured: "1 GET" }]
      return [{
        verdict: (pauses.at(-1) ?? 0) > 1.5 * pause ? "backs off" : "keeps on",
        measured: `${within.length} GETs`,
        detail: `after ${pauses.map(Observe.duration).join(", ")}`
      }]
    }, "closing")
  },
  {
    name: "three",
    rows: [["one of three servers missing, one mute: the good one", "answered"]],
    run: async ({ connectMany }, place) => {
      if (connectMany === undefined) return [{ verdict: "–", detail: "one server per client" }]
      let close = async (): Promise<unknown> => undefined
      const answered = await Observe.outcomeOf(async () => {
        const servers: Record<string, ServerOf> = {
          missing: { kind: "stdio", command: `${place.file}/missing`, args: [] },
          mute: stdio(place, "mute"),
          good: stdio(place)
        }
        const session = await connectMany(servers, "good")
        close = session.close
        await Observe.echo(session)
      })
      await Observe.outcomeOf(close)
      return [Observe.cellOf(answered)]
    }
  }
]
