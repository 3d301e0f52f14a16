/**
 * The options of the soak at the shell.
 */
import { randomInt } from "node:crypto"
import { parseArgs } from "node:util"

const numbers = {
  seconds: { what: "time of the whole run", initial: 600, min: 10, max: 7 * 24 * 3600 },
  rate: { what: "calls per second", initial: 50, min: 1, max: 1000 },
  "fault-every": { what: "seconds from one fault to the next", initial: 5, min: 0.5, max: 3600 },
  seed: { what: "decides the order of calls and faults", initial: randomInt(1_000_000), min: 0, max: 2 ** 32 - 1 }
}

type Name = keyof typeof numbers

export type Options = Readonly<Record<Name, number>> & {
  /** Plays scripts of calls and faults instead. */
  readonly fuzz: boolean
}

const names = Object.keys(numbers) as ReadonlyArray<Name>

export const usage = `node --expose-gc bench/soak.ts [options]

Calls real servers at a steady rate while they fail in many ways, and reports the result as Markdown on stdout.
Exits with 1 if a criterion is violated, with 2 if an option is wrong.

${
  names.map((name) => {
    const { initial, max, min, what } = numbers[name]
    return `  ${`--${name} N`.padEnd(16)} ${what}; from ${min} to ${max}, default ${
      name === "seed" ? "random" : initial
    }`
  }).join("\n")
}
  --fuzz           plays random scripts of calls and faults instead, as test/Fuzz.test.ts does
  --help           prints this text
`

/** Reads the arguments; `undefined` asks for help. Throws an error whose message says what is wrong. */
export const read = (args: ReadonlyArray<string>): Options | undefined => {
  const text = { type: "string" } as const
  const flag = { type: "boolean", default: false } as const
  const { values } = parseArgs({
    args: [...args],
    options: { seconds: text, rate: text, "fault-every": text, seed: text, fuzz: flag, help: flag }
  })
  if (values.help) return undefined
  const number = (name: Name): number => {
    const { initial, max, min } = numbers[name]
    const value = Number(values[name] ?? initial)
    if (value >= min && value <= max) return value
    throw new RangeError(`--${name} is a number from ${min} to ${max}, not ${JSON.stringify(values[name])}`)
  }
  const [seconds, rate, every, seed] = [number("seconds"), number("rate"), number("fault-every"), number("seed")]
  return { seconds, rate, "fault-every": every, seed, fuzz: values.fuzz }
}
