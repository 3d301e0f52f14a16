/**
 * What is done to clients, and what is looked at: each fault makes one or more rows of the table. A cell says what came of
 * it, and what was measured, which differs from run to run.
 */
import type { Peer, PeerSession } from "./Peer.ts"
import { holdsWithin, httpServer, type Ledger, ledgerOf, processesIn, stdioServer, wrapped } from "./Servers.ts"

export interface Cell {
  readonly verdict: string
  readonly measured?: string | undefined
  /** What there is no room for in the table. */
  readonly detail?: string | undefined
}

interface Place {
  readonly directory: string
  readonly ledger: Ledger
  /** How long after the end of a client its processes are looked for: some start others then. In milliseconds. */
  readonly settle: number
}

export interface Fault {
  readonly name: string
  /** What is done exactly. */
  readonly does: string
  readonly rows: ReadonlyArray<{
    readonly title: string
    /** The verdict that a client should get. */
    readonly good: string
  }>
  /** One cell for each row. */
  readonly run: (peer: Peer, place: Place) => Promise<ReadonlyArray<Cell>>
}

// -----------------------------------------------------------------------------
// Looking
// -----------------------------------------------------------------------------

/** How long anything is waited for. What takes longer is pending. */
export const patience = 8000

/** How long a call is tried again and again before its session counts as dead. */
const perseverance = 5000

const pending = Symbol("pending")

type Outcome<A> =
  & { readonly millis: number }
  & (
    | { readonly _tag: "Answered"; readonly value: A }
    | { readonly _tag: "Failed"; readonly error: unknown }
    | { readonly _tag: "Pending" }
  )

/** Runs something for as long as there is patience. */
const outcomeOf = async <A>(run: () => Promise<A>, limit = patience): Promise<Outcome<A>> => {
  const start = performance.now()
  let timer: NodeJS.Timeout | undefined
  const patient = new Promise<typeof pending>((resolve) => {
    timer = setTimeout(() => resolve(pending), limit)
  })
  try {
    const value = await Promise.race([run(), patient])
    const millis = performance.now() - start
    return value === pending ? { _tag: "Pending", millis } : { _tag: "Answered", millis, value }
  } catch (error) {
    return { _tag: "Failed", millis: performance.now() - start, error }
  } finally {
    clearTimeout(timer)
  }
}

const duration = (millis: number): string =>
  millis < 1000 ? `${Math.round(millis)} ms` : `${(millis / 1000).toFixed(1)} s`

/** What a program can tell a failure by without reading its message: its tag, or its class. */
const kindOf = (error: unknown): string => {
  if (typeof error !== "object" || error === null) return typeof error
  const { reason } = error as { readonly reason?: unknown }
  if (typeof reason === "object" && reason !== null && "_tag" in reason) return String(reason._tag)
  return error instanceof DOMException ? error.name : error.constructor.name
}

/** The same with the code that it has. */
const identityOf = (error: unknown): string => {
  const { code, statusCode } = Object(error) as Record<string, unknown>
  const number = error instanceof DOMException ? undefined : code ?? statusCode
  return number === undefined ? kindOf(error) : `${kindOf(error)} ${String(number)}`
}

/** A call as its caller sees it. */
const cellOf = (outcome: Outcome<unknown>): Cell => {
  switch (outcome._tag) {
    case "Answered":
      return { verdict: "answered", measured: duration(outcome.millis) }
    case "Failed": {
      const { error, millis } = outcome
      const identity = identityOf(error)
      return {
        verdict: kindOf(error),
        measured: duration(millis),
        detail: identity === kindOf(error) ? undefined : identity
      }
    }
    case "Pending":
      return { verdict: "pending" }
  }
}

const echo = (session: PeerSession) => outcomeOf(() => session.call("echo", { message: "hello" }))

/** Whether a session that was met with a fault can be used, at once or after a while, as it is or with tools got anew. */
const nextCall = async (session: PeerSession): Promise<Cell> => {
  const start = performance.now()
  let first: string | undefined
  while (performance.now() - start < perseverance) {
    const outcome = await echo(session)
    if (outcome._tag === "Pending") return { verdict: "pending" }
    if (outcome._tag === "Answered") {
      return first === undefined
        ? { verdict: "ok" }
        : { verdict: "ok later", measured: duration(performance.now() - start), detail: `first ${first}` }
    }
    first ??= identityOf(outcome.error)
    await new Promise((resolve) => setTimeout(resolve, 250))
  }
  if (session.refresh !== undefined) {
    await outcomeOf(session.refresh)
    if ((await echo(session))._tag === "Answered") {
      return { verdict: "new tools ok", detail: `those held: ${first}` }
    }
  }
  return { verdict: "dead", detail: first }
}

const failureOf = (outcome: Outcome<unknown>): string =>
  outcome._tag === "Failed" ? identityOf(outcome.error) : outcome._tag.toLowerCase()

/** How often something ran that each was asked for once. */
const times = (counts: ReadonlyArray<number>): string => {
  const least = Math.min(...counts)
  const most = Math.max(...counts)
  return least === most ? `${most}×` : `${least}× to ${most}×`
}

/** What is alive of a server, by what it is. */
const leftIn = ({ directory, ledger }: Place): string => {
  const words = ["server", "grandchild"] as const
  const roles = processesIn(directory).map((pid) => words.find((word) => ledger.read(word).includes(pid)) ?? "wrapper")
  return [...new Set(roles)].map((role) => {
    const count = roles.filter((other) => other === role).length
    return count === 1 ? role : `${count} ${role === "grandchild" ? "grandchildren" : `${role}s`}`
  }).toSorted().join(" + ")
}

const closing = async (session: PeerSession, place: Place): Promise<Cell> => {
  const closed = await outcomeOf(session.close, 2 * patience)
  await new Promise((resolve) => setTimeout(resolve, place.settle))
  const left = leftIn(place)
  const started = place.ledger.read("server").length
  const remarks = [
    ...(closed._tag === "Failed" ? [identityOf(closed.error)] : []),
    ...(started > 1 ? [`server started ${started} times`] : [])
  ]
  return {
    verdict: left || "nothing",
    measured: closed._tag === "Pending" ? "pending" : duration(closed.millis),
    detail: remarks.length === 0 ? undefined : remarks.join("; ")
  }
}

// -----------------------------------------------------------------------------
// Faults
// -----------------------------------------------------------------------------

const plain: Fault = {
  name: "plain",
  does:
    "A server on stdio that ends with its input. One call, then the client is closed. What is alive three seconds later is " +
    "found by its arguments; how long closing took is beside it.",
  rows: [{ title: "plain server, closed: left alive", good: "nothing" }],
  run: async (peer, place) => {
    const session = await peer.connect(stdioServer(place.ledger))
    await session.call("echo", { message: "hello" })
    return [await closing(session, place)]
  }
}

const grandchild: Fault = {
  name: "grandchild",
  does: "The same with a server that has a child, which holds the pipes of the server and is told of nothing.",
  rows: [{ title: "server with a child, closed: left alive", good: "nothing" }],
  run: async (peer, place) => {
    const session = await peer.connect(stdioServer(place.ledger, "grandchild"))
    await session.call("echo", { message: "hello" })
    return [await closing(session, place)]
  }
}

const wrapper: Fault = {
  name: "wrapper",
  does:
    "`sh -c \"node server; true\"` around a server that ignores SIGTERM and the end of its input. The same is looked at.",
  rows: [{ title: "deaf server behind `sh -c`, closed: left alive", good: "nothing" }],
  run: async (peer, place) => {
    const session = await peer.connect(wrapped(place.ledger, "deaf"))
    await session.call("echo", { message: "hello" })
    return [await closing(session, place)]
  }
}

const killed: Fault = {
  name: "killed",
  does:
    "A server on stdio kills itself with SIGKILL under the first call of a tool that nothing says may be repeated; it " +
    "would answer a second one. Then another tool is called on the same session, for five seconds until it answers.",
  rows: [
    { title: "process killed under a tool: times it ran", good: "1×" },
    { title: "… the caller gets", good: "OutcomeUnknown" },
    { title: "… the next call", good: "ok" }
  ],
  run: async (peer, { ledger }) => {
    const session = await peer.connect(stdioServer(ledger, "mortal"))
    const charged = await outcomeOf(() => session.call("charge_card", { id: "1" }))
    const next = await nextCall(session)
    await outcomeOf(session.close)
    const ran = ledger.read("call").filter((tool) => tool === "charge_card").length
    return [{ verdict: times([ran]) }, cellOf(charged), next]
  }
}

const aborted: Fault = {
  name: "aborted",
  does:
    "The signal of a call to a server on stdio is aborted when the server has begun with it. The server writes down " +
    "whether `notifications/cancelled` comes. Then another tool is called on the same session.",
  rows: [
    { title: "call aborted: the server is told", good: "yes" },
    { title: "… the next call", good: "ok" }
  ],
  run: async (peer, { ledger }) => {
    const session = await peer.connect(stdioServer(ledger))
    const controller = new AbortController()
    const slow = outcomeOf(() => session.call("slow", { id: "1" }, { signal: controller.signal }))
    await holdsWithin(patience, () => ledger.read("call").includes("slow"))
    controller.abort()
    const ended = await slow
    const isTold = await holdsWithin(patience, () => ledger.read("cancelled").includes("slow"))
    const next = await nextCall(session)
    await outcomeOf(session.close)
    return [{ verdict: isTold ? "yes" : "no", detail: `the caller: ${failureOf(ended)}` }, next]
  }
}

const calls = Array.from({ length: 20 }, (_, id) => `call-${id}`)

const forgotten: Fault = {
  name: "forgotten",
  does:
    "A server over HTTP forgets its session: 404 to all that name it. Then there are 20 calls at once, of a tool that " +
    "nothing says may be repeated. How many are answered, how many sessions are begun, and how often each call ran; then " +
    "another tool is called on the same session.",
  rows: [
    { title: "HTTP session forgotten, 20 calls: answered", good: "20" },
    { title: "… new sessions", good: "1" },
    { title: "… times each ran", good: "1×" },
    { title: "… the next call", good: "ok" }
  ],
  run: async (peer, { ledger }) => {
    const { forget, server } = await httpServer(ledger)
    const session = await peer.connect(server)
    await session.call("echo", { message: "hello" })
    const before = ledger.read("initialize").length
    await forget()
    const outcomes = await Promise.all(calls.map((id) => outcomeOf(() => session.call("charge_card", { id }))))
    const answered = outcomes.filter(({ _tag }) => _tag === "Answered").length
    const others = outcomes.flatMap((outcome) => outcome._tag === "Answered" ? [] : [failureOf(outcome)])
    const after = ledger.read("initialize").length
    const ran = ledger.read("call")
    const next = await nextCall(session)
    await outcomeOf(session.close)
    return [
      { verdict: String(answered), detail: [...new Set(others)].join(", ") || undefined },
      { verdict: String(after - before) },
      { verdict: times(calls.map((id) => ran.filter((call) => call === `charge_card ${id}`).length)) },
      next
    ]
  }
}

const lost: Fault = {
  name: "lost",
  does:
    "A server over HTTP runs a tool, answers with an event stream, and ends that after a notification, without the " +
    "answer. What its caller gets, and when.",
  rows: [
    { title: "event stream ends without the answer: the caller gets", good: "OutcomeUnknown" },
    { title: "… times it ran", good: "1×" }
  ],
  run: async (peer, { ledger }) => {
    const { server } = await httpServer(ledger, "lost")
    const session = await peer.connect(server)
    const charged = await outcomeOf(() => session.call("charge_card", { id: "1" }))
    await outcomeOf(session.close)
    return [cellOf(charged), { verdict: times([ledger.read("call").length]) }]
  }
}

const reset: Fault = {
  name: "reset",
  does:
    "A server over HTTP runs a tool that nothing says may be repeated, and resets the connection instead of answering. " +
    "Then another tool is called on the same session.",
  rows: [
    { title: "connection reset under a tool: times it ran", good: "1×" },
    { title: "… the caller gets", good: "OutcomeUnknown" },
    { title: "… the next call", good: "ok" }
  ],
  run: async (peer, { ledger }) => {
    const { server } = await httpServer(ledger, "reset")
    const session = await peer.connect(server)
    const charged = await outcomeOf(() => session.call("charge_card", { id: "1" }))
    const next = await nextCall(session)
    await outcomeOf(session.close)
    return [{ verdict: times([ledger.read("call").length]) }, cellOf(charged), next]
  }
}

const restarted: Fault = {
  name: "restarted",
  does:
    "A server over HTTP is killed and started again at the same address, where it knows none of its sessions. Then a " +
    "tool is called on the same session, for five seconds until it answers.",
  rows: [{ title: "HTTP server restarted: the next call", good: "ok" }],
  run: async (peer, { ledger }) => {
    const { restart, server } = await httpServer(ledger)
    const session = await peer.connect(server)
    await session.call("echo", { message: "hello" })
    await restart()
    const next = await nextCall(session)
    await outcomeOf(session.close)
    return [next]
  }
}

/** How long the requests for a stream are counted, in milliseconds. */
const watch = 5000

const closed: Fault = {
  name: "closed",
  does:
    "A server over HTTP accepts the request for the stream of its own messages and ends the stream at once, each time. " +
    "How many such requests come within five seconds of the first, and whether the last of them came after more than one " +
    "and a half times the pause before the second.",
  rows: [{ title: "stream of server messages closed at once, for 5 s", good: "backs off" }],
  run: async (peer, { ledger }) => {
    const { server } = await httpServer(ledger, "closing")
    const session = await peer.connect(server)
    await session.call("echo", { message: "hello" })
    const at = () => ledger.read("stream").map(Number)
    await holdsWithin(watch, () => at().length > 0)
    const [first] = at()
    if (first === undefined) return [{ verdict: "does not ask" }]
    await new Promise((resolve) => setTimeout(resolve, watch))
    await outcomeOf(session.close)
    const within = at().filter((time) => time <= first + watch)
    const pauses = within.slice(1).map((time, index) => time - (within[index] ?? 0))
    const [pause] = pauses
    if (pause === undefined) return [{ verdict: "gives up", measured: "1 GET" }]
    return [{
      verdict: (pauses.at(-1) ?? 0) > 1.5 * pause ? "backs off" : "keeps on",
      measured: `${within.length} GETs`,
      detail: `after ${pauses.map(duration).join(", ")}`
    }]
  }
}

const three: Fault = {
  name: "three",
  does:
    "A client of three servers on stdio, in this order: a command that does not exist, one that reads and never answers, " +
    "and a good one. How long it takes from nothing to the first answer of the good one, with the time limits that clients " +
    "come with. Those that have one server each are not asked.",
  rows: [{ title: "one of three servers missing, one mute: the good one", good: "answered" }],
  run: async (peer, place) => {
    const { connectMany } = peer
    if (connectMany === undefined) return [{ verdict: "–", detail: "one server per client" }]
    const { directory, ledger } = place
    const answered = await outcomeOf(async () => {
      const sessions = await connectMany({
        missing: { kind: "stdio", command: `${directory}/missing`, args: [] },
        mute: stdioServer(ledger, "mute"),
        good: stdioServer(ledger)
      })
      await sessions.call("good", "echo", { message: "hello" })
      return sessions
    })
    if (answered._tag === "Answered") await outcomeOf(answered.value.close)
    return [cellOf(answered)]
  }
}

export const faults: ReadonlyArray<Fault> = [
  plain,
  grandchild,
  wrapper,
  killed,
  aborted,
  forgotten,
  lost,
  reset,
  restarted,
  closed,
  three
]

/** Tries a fault on a client. */
export const tryOn = (options: {
  readonly fault: Fault
  readonly peer: Peer
  readonly directory: string
  readonly settle: number
}): Promise<ReadonlyArray<Cell>> => {
  const { directory, fault, peer, settle } = options
  return fault.run(peer, { directory, ledger: ledgerOf(directory), settle })
}
