/**
 * The faults that clients are put to, and what is observed: each fault makes one or more rows of the table. A cell has a verdict and a
 * measurement, which differs from run to run.
 */
import type { Peer, PeerSession } from "./Peer.ts"
import { holdsWithin, httpServer, type Place, processesIn, stdioServer, wrapped } from "./Servers.ts"

export interface Cell {
  readonly verdict: string
  readonly measured?: string | undefined
  /** More detail than the table in the README has room for. */
  readonly detail?: string | undefined
}

export interface Fault {
  readonly name: string
  /** What is done exactly. */
  readonly does: string
  /** The titles of its rows, each with the verdict that a client should get. */
  readonly rows: ReadonlyArray<readonly [title: string, good: string]>
  /** Gives one cell for each row. */
  readonly run: (peer: Peer, place: Place) => Promise<ReadonlyArray<Cell>>
}

// -----------------------------------------------------------------------------
// Observations
// -----------------------------------------------------------------------------

/** How long to wait for any outcome, in milliseconds. */
export const outcomeTimeout = 8000

/** How long to repeat a call before its session counts as dead, in milliseconds. */
const retryTimeout = 5000

type Outcome<A> =
  & { readonly millis: number }
  & (
    | { readonly _tag: "Answered"; readonly value: A }
    | { readonly _tag: "Failed"; readonly error: unknown }
    | { readonly _tag: "Pending" }
  )

const sleep = (millis: number) => new Promise<void>((resolve) => setTimeout(resolve, millis))

const outcomeOf = async <A>(run: () => Promise<A>, limit = outcomeTimeout): Promise<Outcome<A>> => {
  const start = performance.now()
  const millis = () => performance.now() - start
  let timer: NodeJS.Timeout | undefined
  const pending = new Promise<Outcome<A>>((resolve) => {
    timer = setTimeout(() => resolve({ _tag: "Pending", millis: limit }), limit)
  })
  const ended = (async () => run())().then(
    (value): Outcome<A> => ({ _tag: "Answered", millis: millis(), value }),
    (error: unknown): Outcome<A> => ({ _tag: "Failed", millis: millis(), error })
  )
  return Promise.race([ended, pending]).finally(() => clearTimeout(timer))
}

const duration = (millis: number): string =>
  millis < 1000 ? `${Math.round(millis)} ms` : `${(millis / 1000).toFixed(1)} s`

/** What a program can tell an error by without reading its message: its tag or its class. */
const kindOf = (error: unknown): string => {
  if (typeof error !== "object" || error === null) return typeof error
  const { reason } = error as { readonly reason?: unknown }
  if (typeof reason === "object" && reason !== null && "_tag" in reason) return String(reason._tag)
  return error instanceof DOMException ? error.name : error.constructor.name
}

const kindAndCodeOf = (error: unknown): string => {
  const { code, statusCode } = Object(error) as Record<string, unknown>
  const number = error instanceof DOMException ? undefined : code ?? statusCode
  return number === undefined ? kindOf(error) : `${kindOf(error)} ${String(number)}`
}

/** A call as its caller sees it. */
const cellOf = (outcome: Outcome<unknown>): Cell => {
  if (outcome._tag === "Pending") return { verdict: "pending" }
  const measured = duration(outcome.millis)
  if (outcome._tag === "Answered") return { verdict: "answered", measured }
  const [kind, detail] = [kindOf(outcome.error), kindAndCodeOf(outcome.error)]
  return { verdict: kind, measured, detail: detail === kind ? undefined : detail }
}

const failureOf = (outcome: Outcome<unknown>): string =>
  outcome._tag === "Failed" ? kindAndCodeOf(outcome.error) : outcome._tag.toLowerCase()

const message = { message: "hello" }
const echo = (session: PeerSession) => outcomeOf(() => session.call("echo", message))
const charge = (session: PeerSession, id = "1") => outcomeOf(() => session.call("charge_card", { id }))

/** Whether a session works after a fault: at once, after a while, or with tools listed again. */
const nextCall = async (session: PeerSession): Promise<Cell> => {
  const start = performance.now()
  let first: string | undefined
  while (performance.now() - start < retryTimeout) {
    const outcome = await echo(session)
    if (outcome._tag === "Pending") return { verdict: "pending" }
    if (outcome._tag === "Answered") {
      return first === undefined
        ? { verdict: "ok" }
        : { verdict: "ok later", measured: duration(performance.now() - start), detail: `first ${first}` }
    }
    first ??= failureOf(outcome)
    await sleep(250)
  }
  if (session.refresh !== undefined) {
    await outcomeOf(session.refresh)
    if ((await echo(session))._tag === "Answered") return { verdict: "new tools ok", detail: `tools held: ${first}` }
  }
  return { verdict: "dead", detail: first }
}

/** How often calls ran that were made once each. */
const times = (counts: ReadonlyArray<number>): string => {
  const [least, most] = [Math.min(...counts), Math.max(...counts)]
  return least === most ? `${most}×` : `${least}× to ${most}×`
}
const ran = ({ read }: Place): Cell => ({
  verdict: times([read("call").filter((call) => call.startsWith("charge_card")).length])
})

/** What is alive of a server, by role. */
const leftIn = ({ directory, read }: Place): string => {
  const words = ["server", "grandchild"]
  const roles = processesIn(directory).map((pid) => words.find((word) => read(word).includes(pid)) ?? "wrapper")
  return [...new Set(roles)].toSorted().map((role) => {
    const count = roles.filter((other) => other === role).length
    return count === 1 ? role : `${count} ${role === "grandchild" ? "grandchildren" : `${role}s`}`
  }).join(" + ")
}

/** Calls once, closes the client, and looks for processes. */
const closing = (server: (place: Place) => Parameters<Peer["connect"]>[0]): Fault["run"] => async (peer, place) => {
  const session = await peer.connect(server(place))
  await session.call("echo", message)
  const closed = await outcomeOf(session.close, 2 * outcomeTimeout)
  await sleep(place.settle)
  const started = place.read("server").length
  const remarks = [
    ...(closed._tag === "Failed" ? [failureOf(closed)] : []),
    ...(started > 1 ? [`server started ${started} times`] : [])
  ]
  return [{
    verdict: leftIn(place) || "nothing",
    measured: closed._tag === "Pending" ? "pending" : duration(closed.millis),
    detail: remarks.join("; ") || undefined
  }]
}

/** Connects to a server over HTTP, observes, and closes the session. */
const overHttp = (
  words: ReadonlyArray<string>,
  observe: (
    options: Awaited<ReturnType<typeof httpServer>> & { readonly session: PeerSession; readonly place: Place }
  ) => Promise<ReadonlyArray<Cell>>
): Fault["run"] =>
async (peer, place) => {
  const running = await httpServer(place, ...words)
  const session = await peer.connect(running.server)
  const cells = await observe({ ...running, session, place })
  await outcomeOf(session.close)
  return cells
}

const count = (items: ReadonlyArray<unknown>) => items.length
const calls = Array.from({ length: 20 }, (_, id) => `call-${id}`)

/** How long requests for a stream are counted, in milliseconds. */
const watchTime = 5000

// -----------------------------------------------------------------------------
// Faults
// -----------------------------------------------------------------------------

export const faults: ReadonlyArray<Fault> = [
  {
    name: "plain",
    does:
      "A server on stdio that ends with its input. One call, then the client is closed. Processes alive three seconds later " +
      "are found by their arguments; the time that closing took is beside it.",
    rows: [["plain server, closed: left alive", "nothing"]],
    run: closing(stdioServer)
  },
  {
    name: "grandchild",
    does: "As `plain`, with a server that has a child, which holds the pipes of the server and gets no signal from it.",
    rows: [["server with a child, closed: left alive", "nothing"]],
    run: closing((place) => stdioServer(place, "grandchild"))
  },
  {
    name: "wrapper",
    does:
      "As `plain`, with `sh -c \"node server; true\"` around a server that ignores SIGTERM and the end of its input.",
    rows: [["deaf server behind `sh -c`, closed: left alive", "nothing"]],
    run: closing((place) => wrapped(place, "deaf"))
  },
  {
    name: "killed",
    does:
      "A server on stdio kills itself with SIGKILL during the first call of a tool that is not declared idempotent; it would " +
      "answer a second call. Then another tool is called on the same session, for five seconds until it answers.",
    rows: [
      ["process killed under a tool: times it ran", "1×"],
      ["… the caller gets", "OutcomeUnknown"],
      ["… the next call", "ok"]
    ],
    run: async (peer, place) => {
      const session = await peer.connect(stdioServer(place, "mortal"))
      const charged = await charge(session)
      const next = await nextCall(session)
      await outcomeOf(session.close)
      return [ran(place), cellOf(charged), next]
    }
  },
  {
    name: "aborted",
    does:
      "The signal of a call to a server on stdio is aborted after the server has started it. The server writes down whether " +
      "`notifications/cancelled` arrives. Then another tool is called on the same session.",
    rows: [["call aborted: the server is told", "yes"], ["… the next call", "ok"]],
    run: async (peer, place) => {
      const session = await peer.connect(stdioServer(place))
      const controller = new AbortController()
      const slow = outcomeOf(() => session.call("slow", { id: "1" }, { signal: controller.signal }))
      await holdsWithin(outcomeTimeout, () => place.read("call").includes("slow"))
      controller.abort()
      const ended = await slow
      const isTold = await holdsWithin(outcomeTimeout, () => place.read("cancelled").includes("slow"))
      const next = await nextCall(session)
      await outcomeOf(session.close)
      return [{ verdict: isTold ? "yes" : "no", detail: `the caller: ${failureOf(ended)}` }, next]
    }
  },
  {
    name: "forgotten",
    does:
      "A server over HTTP forgets its session: it answers 404 to requests that name it. Then 20 calls are made at once, of a " +
      "tool that is not declared idempotent: how many are answered, how many sessions are started, and how often each call ran. " +
      "Then another tool is called on the same session.",
    rows: [
      ["HTTP session forgotten, 20 calls: answered", "20"],
      ["… new sessions", "1"],
      ["… times each ran", "1×"],
      ["… the next call", "ok"]
    ],
    run: overHttp([], async ({ forget, place, session }) => {
      await session.call("echo", message)
      const before = count(place.read("initialize"))
      await forget()
      const outcomes = await Promise.all(calls.map((id) => charge(session, id)))
      const failures = outcomes.filter(({ _tag }) => _tag !== "Answered").map(failureOf)
      const sessions = count(place.read("initialize")) - before
      const runs = place.read("call")
      return [
        { verdict: String(calls.length - failures.length), detail: [...new Set(failures)].join(", ") || undefined },
        { verdict: String(sessions) },
        { verdict: times(calls.map((id) => count(runs.filter((call) => call === `charge_card ${id}`)))) },
        await nextCall(session)
      ]
    })
  },
  {
    name: "lost",
    does:
      "A server over HTTP runs a tool, responds with an event stream, and ends the stream after a notification, without the " +
      "response. What the caller gets, and when.",
    rows: [["event stream ends without the answer: the caller gets", "OutcomeUnknown"], ["… times it ran", "1×"]],
    run: overHttp(["lost"], async ({ place, session }) => [cellOf(await charge(session)), ran(place)])
  },
  {
    name: "reset",
    does:
      "A server over HTTP runs a tool that is not declared idempotent, and resets the connection instead of responding. Then " +
      "another tool is called on the same session.",
    rows: [
      ["connection reset under a tool: times it ran", "1×"],
      ["… the caller gets", "OutcomeUnknown"],
      ["… the next call", "ok"]
    ],
    run: overHttp(["reset"], async ({ place, session }) => {
      const charged = await charge(session)
      const next = await nextCall(session)
      return [ran(place), cellOf(charged), next]
    })
  },
  {
    name: "restarted",
    does:
      "A server over HTTP is killed and started again at the same address, where it knows none of its sessions. Then a tool " +
      "is called on the same session, for five seconds until it answers.",
    rows: [["HTTP server restarted: the next call", "ok"]],
    run: overHttp([], async ({ restart, session }) => {
      await session.call("echo", message)
      await restart()
      return [await nextCall(session)]
    })
  },
  {
    name: "closed",
    does:
      "A server over HTTP accepts each request for the stream of its own messages and ends the stream at once. How many such " +
      "requests arrive within five seconds of the first, and whether the pause before the last of them is more than one and a " +
      "half times the pause before the second.",
    rows: [["stream of server messages closed at once, for 5 s", "backs off"]],
    run: overHttp(["closing"], async ({ place, session }) => {
      await session.call("echo", message)
      const at = () => place.read("stream").map(Number)
      await holdsWithin(watchTime, () => at().length > 0)
      const [first] = at()
      if (first === undefined) return [{ verdict: "does not ask" }]
      await sleep(watchTime)
      const within = at().filter((time) => time <= first + watchTime)
      const pauses = within.slice(1).map((time, index) => time - (within[index] ?? 0))
      const [pause] = pauses
      if (pause === undefined) return [{ verdict: "gives up", measured: "1 GET" }]
      return [{
        verdict: (pauses.at(-1) ?? 0) > 1.5 * pause ? "backs off" : "keeps on",
        measured: `${within.length} GETs`,
        detail: `after ${pauses.map(duration).join(", ")}`
      }]
    })
  },
  {
    name: "three",
    does:
      "A client of three servers on stdio, in this order: a command that does not exist, one that reads and never answers, " +
      "and a good one. The time from the start to the first answer of the good one, with the time limits that clients have by " +
      "default. Clients of one server each are left out.",
    rows: [["one of three servers missing, one mute: the good one", "answered"]],
    run: async ({ connectMany }, place) => {
      if (connectMany === undefined) return [{ verdict: "–", detail: "one server per client" }]
      const answered = await outcomeOf(async () => {
        const sessions = await connectMany({
          missing: { kind: "stdio", command: `${place.directory}/missing`, args: [] },
          mute: stdioServer(place, "mute"),
          good: stdioServer(place)
        })
        await sessions.call("good", "echo", message)
        return sessions
      })
      if (answered._tag === "Answered") await outcomeOf(answered.value.close)
      return [cellOf(answered)]
    }
  }
]
