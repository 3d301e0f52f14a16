/**
 * One contender in a process of its own, so that none has the garbage, the timers or the patches of another:
 * `contender.ts NAME SERVER`. Says when it is connected, makes calls for the spells that it is sent, and closes when the parent
 * disconnects.
 */
import { contenders } from "./contenders.ts"
import type { Spell } from "./harness.ts"

const [, , name = "", server = ""] = process.argv

const load = contenders[name]
if (load === undefined) throw new Error(`there is no contender ${name}`)
const { call, close, run } = await (await load()).connect(JSON.parse(server))

// Some clients resolve with what went wrong, and nothing is faster than that.
const answer = JSON.stringify(await call())
if (!answer.includes("hello")) throw new Error(`${name} got ${answer}`)

process.on("message", async (spell: Spell) => process.send?.(await run(spell)))
process.on("disconnect", async () => {
  await close()
  process.exit(0)
})
process.send?.("connected")
