import { assert, describe, it } from "@effect/vitest"
import {
  idleTime,
  lifetime,
  Link,
  PageSessions
} from "../../../packages/transports/src/internal/dashboard/pageSessions.ts"

/** Sessions by a clock that the test moves. */
const setting = () => {
  const clock = { now: 0 }
  return { clock, sessions: new PageSessions(() => clock.now) }
}

describe("a page session", () => {
  it("ends when it is not used for a while, and not while it is", () => {
    const { clock, sessions } = setting()
    const { cookie, token } = sessions.open("alice")
    for (let n = 0; n < 5; n++) {
      clock.now += idleTime
      assert.isDefined(sessions.find(cookie, token))
    }
    clock.now += idleTime + 1
    assert.isUndefined(sessions.find(cookie, token))
  })

  it("does not end by itself while a page is open, but at the end of its lifetime, with its streams", () => {
    const { clock, sessions } = setting()
    const { cookie, token } = sessions.open("alice")
    let isEnded = false
    sessions.find(cookie, token)?.streams.add(() => {
      isEnded = true
    })
    clock.now = lifetime - 1
    sessions.sweep()
    assert.isFalse(isEnded)
    clock.now = lifetime
    sessions.sweep()
    assert.deepStrictEqual([isEnded, sessions.size, sessions.find(cookie, token)], [true, 0, undefined])
  })

  it("ends with what proved its principal", () => {
    const { clock, sessions } = setting()
    const { cookie, token } = sessions.open("alice", 60_000)
    clock.now = 59_999
    assert.isDefined(sessions.find(cookie, token))
    clock.now = 60_000
    assert.isUndefined(sessions.find(cookie, token))
  })

  it("makes room for new ones of its principal when there are 16, and of all when there are 256", () => {
    const { clock, sessions } = setting()
    const other = sessions.open("bob")
    const opened = Array.from({ length: 17 }, () => {
      clock.now++
      return sessions.open("alice")
    })
    const isOpen = opened.map(({ cookie, token }) => sessions.find(cookie, token) !== undefined)
    assert.deepStrictEqual(isOpen, opened.map((_, index) => index > 0))
    assert.isDefined(sessions.find(other.cookie, other.token))
    for (let n = 0; n < 300; n++) sessions.open(`principal ${n}`)
    assert.strictEqual(sessions.size, 256)
  })
})

describe("the secret of a link", () => {
  it("opens once, and not after the next one was made", () => {
    const link = new Link()
    assert.isFalse(link.redeem(""))
    const first = link.renew()
    assert.deepStrictEqual([link.redeem("other"), link.redeem(first), link.redeem(first)], [false, true, false])
    const second = link.renew()
    const third = link.renew()
    assert.deepStrictEqual([link.redeem(second), link.redeem(third)], [false, true])
  })
})
