/**
 * Allocation of a pool, as a pure function: assigns sessions to waiters, and decides which sessions to open and close.
 */
import { assert, describe, it } from "@effect/vitest"
import { Equal, Hash, Schema } from "effect"
import {
  type Action,
  type Allocatable,
  allocate,
  type PoolIdentity
} from "../../../packages/core/src/internal/pool/allocation.ts"

class Identity implements PoolIdentity {
  readonly owner: string
  constructor(owner: string) {
    this.owner = owner
  }
  [Equal.symbol](that: unknown): boolean {
    return that instanceof Identity && that.owner === this.owner
  }
  [Hash.symbol](): number {
    return Hash.string(this.owner)
  }
}

interface Session extends Allocatable {
  leases: number
  idleSince: number
  isRetired: boolean
}

interface Waiter {
  readonly identity: Identity
  readonly arrival: number
}

const session = (owner: string, options: Partial<Session> = {}): Session => ({
  identity: new Identity(owner),
  expiresAt: Number.POSITIVE_INFINITY,
  idleSince: 0,
  leases: 0,
  isRetired: false,
  ...options
})

const described = (options: {
  readonly sessions?: ReadonlyArray<Session>
  readonly waiters: ReadonlyArray<string>
  readonly opening?: ReadonlyArray<string>
  readonly closing?: number
  readonly max?: number
  readonly concurrency?: number
}): ReadonlyArray<string> => {
  const sessions = options.sessions ?? []
  const nameOf = (session: Session) => `${session.identity.owner}${sessions.indexOf(session)}`
  return allocate<Session, Waiter>({
    sessions: new Set(sessions),
    waiters: options.waiters.map((owner, arrival) => ({ identity: new Identity(owner), arrival })),
    opening: (options.opening ?? []).map((owner) => new Identity(owner)),
    closing: options.closing ?? 0,
    max: options.max ?? 2,
    concurrency: options.concurrency ?? 1,
    now: 1000
  }).map((action) =>
    action._tag === "Lease"
      ? `lease ${nameOf(action.session)} to ${action.waiter.arrival}`
      : action._tag === "Open"
      ? `open ${action.identity.owner}`
      : `close ${nameOf(action.session)}`
  )
}

describe("pool allocation", () => {
  it("leases an idle session to the first waiter of its identity", () => {
    assert.deepStrictEqual(described({ sessions: [session("a")], waiters: ["b", "a", "a"], max: 2 }), [
      "open b",
      "lease a0 to 1"
    ])
  })

  it("leases the session that was used last, so that the others become idle", () => {
    const sessions = [session("a", { idleSince: 1 }), session("a", { idleSince: 3 }), session("a", { idleSince: 2 })]
    assert.deepStrictEqual(described({ sessions, waiters: ["a", "a"], max: 3 }), ["lease a1 to 0", "lease a2 to 1"])
  })

  it("leases a session up to `concurrency` times before it opens another", () => {
    const sessions = [session("a", { leases: 1 })]
    assert.deepStrictEqual(described({ sessions, waiters: ["a", "a", "a"], concurrency: 3 }), [
      "lease a0 to 0",
      "lease a0 to 1",
      "open a"
    ])
  })

  it("leases neither a retired session nor an expired one", () => {
    const sessions = [session("a", { isRetired: true, leases: 1 }), session("a", { expiresAt: 1000 })]
    assert.deepStrictEqual(described({ sessions, waiters: ["a"], max: 3 }), ["open a"])
  })

  it("opens nothing for a waiter whose session is being opened", () => {
    assert.deepStrictEqual(described({ waiters: ["a", "a"], opening: ["a"], max: 3 }), ["open a"])
  })

  it("closes the session that has been idle longest when all places are taken", () => {
    const sessions = [session("a", { idleSince: 2 }), session("b", { idleSince: 1 })]
    assert.deepStrictEqual(described({ sessions, waiters: ["c"] }), ["close b1"])
  })

  it("closes nothing for a waiter whose place is being freed already", () => {
    const sessions = [session("a")]
    assert.deepStrictEqual(described({ sessions, waiters: ["b"], closing: 1 }), [])
  })

  it("leases an idle session to its own waiter while places are being freed for the earlier ones", () => {
    const sessions = [session("c")]
    assert.deepStrictEqual(described({ sessions, waiters: ["a", "c"], closing: 1 }), ["lease c0 to 1"])
  })

  it("gives a freed place to the waiter at the head", () => {
    const sessions = [session("b", { leases: 1 })]
    assert.deepStrictEqual(described({ sessions, waiters: ["a", "b"] }), ["open a"])
  })

  it("lets no later waiter join a busy session while an earlier one waits for its place", () => {
    const sessions = [session("a", { leases: 1 })]
    assert.deepStrictEqual(described({ sessions, waiters: ["b", "a"], max: 1, concurrency: 2 }), [])
    assert.deepStrictEqual(described({ sessions, waiters: ["b", "a"], closing: 1, concurrency: 2 }), [])
  })

  it("does not lease an idle session that is being closed for an earlier waiter", () => {
    assert.deepStrictEqual(described({ sessions: [session("b")], waiters: ["a", "b"], max: 1 }), ["close b0"])
  })
})

/** A pool whose sessions open and close when the test says so. */
class Model {
  readonly sessions = new Set<Session>()
  readonly waiters = new Set<Waiter>()
  readonly opening: Array<Identity> = []
  readonly leases: Array<{ readonly session: Session; readonly waiter: Waiter }> = []
  readonly served: Array<Waiter> = []
  readonly max: number
  readonly concurrency: number
  closing = 0
  now = 0
  #arrivals = 0

  constructor(max: number, concurrency: number) {
    this.max = max
    this.concurrency = concurrency
  }

  arrive(owner: string): Waiter {
    const waiter = { identity: new Identity(owner), arrival: this.#arrivals++ }
    this.waiters.add(waiter)
    return waiter
  }

  opened(n: number): void {
    const [identity] = this.opening.splice(n % Math.max(1, this.opening.length), 1)
    if (identity !== undefined) this.sessions.add(session(identity.owner, { idleSince: this.now }))
  }

  returned(n: number): void {
    const [lease] = this.leases.splice(n % Math.max(1, this.leases.length), 1)
    if (lease === undefined) return
    lease.session.leases--
    lease.session.idleSince = this.now
    if (lease.session.isRetired && lease.session.leases === 0) this.#close(lease.session)
  }

  closed(): void {
    if (this.closing > 0) this.closing--
  }

  retired(n: number): void {
    const one = [...this.sessions][n % Math.max(1, this.sessions.size)]
    if (one === undefined) return
    one.isRetired = true
    if (one.leases === 0) this.#close(one)
  }

  left(n: number): void {
    const one = [...this.waiters][n % Math.max(1, this.waiters.size)]
    if (one !== undefined) this.waiters.delete(one)
  }

  /** Carries out the actions and checks each of them. */
  serve(): void {
    this.now++
    const actions = allocate<Session, Waiter>(this)
    const isFree = this.#size() < this.max
    const [head] = this.waiters
    const canBeServed = head !== undefined && (this.opening.some((one) => Equal.equals(one, head.identity)) ||
      [...this.sessions].some((one) =>
        !one.isRetired && one.leases < this.concurrency && Equal.equals(one.identity, head.identity)
      ))
    if (head !== undefined && isFree && !canBeServed) {
      assert.deepStrictEqual(actions[0], { _tag: "Open", identity: head.identity }, "a free place belongs to the head")
    }
    for (const action of actions) {
      this.#apply(action)
      assert.isAtMost(this.#size(), this.max)
    }
    assert.deepStrictEqual(allocate<Session, Waiter>(this), [], "one round decides everything")
  }

  #apply(action: Action<Session, Waiter>): void {
    switch (action._tag) {
      case "Lease": {
        const { session, waiter } = action
        assert.isTrue(Equal.equals(session.identity, waiter.identity), "a session serves its own identity")
        assert.isFalse(session.isRetired)
        const earlier = [...this.waiters].find((other) => Equal.equals(other.identity, waiter.identity))
        assert.strictEqual(earlier, waiter, "first come, first served")
        assert.isTrue(this.waiters.delete(waiter))
        session.leases++
        assert.isAtMost(session.leases, this.concurrency)
        this.leases.push({ session, waiter })
        this.served.push(waiter)
        return
      }
      case "Open":
        this.opening.push(action.identity as Identity)
        return
      case "Close":
        assert.strictEqual(action.session.leases, 0)
        this.#close(action.session)
    }
  }

  #close(session: Session): void {
    assert.isTrue(this.sessions.delete(session))
    this.closing++
  }

  #size(): number {
    return this.sessions.size + this.opening.length + this.closing
  }
}

const owners = ["a", "b", "c"] as const

const step = Schema.Struct({
  kind: Schema.Literals(["arrive", "opened", "returned", "closed", "retired", "left"]),
  n: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1000 }))
})

const size = (maximum: number) => Schema.Int.check(Schema.isBetween({ minimum: 1, maximum }))

const perform = (model: Model, { kind, n }: typeof step.Type): void => {
  if (kind === "arrive") model.arrive(owners[n % owners.length] ?? "a")
  else model[kind](n)
}

describe("pool allocation, in any order of events", () => {
  it.prop(
    "keeps to the limits, serves each identity in order, and serves every waiter in the end",
    [Schema.Array(step), size(4), size(3)],
    ([steps, max, concurrency]) => {
      const model = new Model(max, concurrency)
      for (const one of steps) {
        perform(model, one)
        model.serve()
      }
      for (let n = 0; model.waiters.size > 0; n++) {
        assert.isBelow(n, 1000, "a waiter starves")
        for (const end of ["opened", "closed", "returned"] as const) {
          model[end](n)
          model.serve()
        }
      }
    },
    { arbitrary: { seed: 1, runs: 500 } }
  )

  it.prop(
    "serves the waiter at the head before the places have changed hands twice, however many arrive for busy sessions",
    [size(4), size(3)],
    ([max, concurrency]) => {
      const model = new Model(max, concurrency)
      const settle = () => {
        model.serve()
        while (model.opening.length + model.closing > 0) {
          model.opened(0)
          model.closed()
          model.serve()
        }
      }
      for (let n = 0; n < max * concurrency; n++) model.arrive("a")
      settle()
      const head = model.arrive("b")
      settle()
      for (let n = 0; n < 2 * max * concurrency; n++) {
        model.arrive("a")
        model.returned(0)
        settle()
      }
      assert.include(model.served, head)
    },
    { arbitrary: { seed: 1, runs: 50 } }
  )
})
