/**
 * The options of the soak at the shell, and chance that a seed repeats.
 */
import { parseArgs } from "node:util"

export interface Options {
  /** The time of all phases together, in seconds. */
  readonly seconds: number
  /** Calls per second. */
  readonly rate: number
  /** Seconds from one fault to the next. */
  readonly faultEvery: number
  readonly seed: number
  /** Plays scripts of calls and faults instead. */
  readonly isFuzzing: boolean
}

export const usage = `node --expose-gc bench/soak.ts [options]

Calls real servers at a steady rate while they fail in many ways, and reports the result as Markdown on stdout.
Exits with 1 if a criterion is violated, with 2 if an option is wrong.

  --seconds N      time of the whole run; default 600, at least 10
  --rate N         calls per second; default 50, at most 1000
  --fault-every N  seconds from one fault to the next; default 5
  --seed N         decides the order of calls and faults; default: random
  --fuzz           plays random scripts of calls and faults instead, as test/Fuzz.test.ts does
  --help           prints this text
`

const bounds = {
  seconds: { min: 10, max: 7 * 24 * 3600 },
  rate: { min: 1, max: 1000 },
  "fault-every": { min: 0.5, max: 3600 },
  seed: { min: 0, max: 2 ** 32 - 1 }
}

const config = {
  options: {
    seconds: { type: "string", default: "600" },
    rate: { type: "string", default: "50" },
    "fault-every": { type: "string", default: "5" },
    seed: { type: "string" },
    fuzz: { type: "boolean", default: false },
    help: { type: "boolean", default: false }
  }
} as const

/** Reads the arguments; `undefined` asks for help. Throws an error whose message says what is wrong. */
export const read = (args: ReadonlyArray<string>, anySeed: number): Options | undefined => {
  const { values } = parseArgs({ ...config, args: [...args] })
  if (values.help) return undefined
  const number = (name: keyof typeof bounds): number => {
    const { max, min } = bounds[name]
    const text = values[name] ?? String(anySeed)
    const value = text.trim() === "" ? Number.NaN : Number(text)
    if (value >= min && value <= max && (name !== "seed" || Number.isInteger(value))) return value
    const kind = name === "seed" ? "a whole number" : "a number"
    throw new RangeError(`--${name} is ${kind} from ${min} to ${max}, not ${JSON.stringify(text)}`)
  }
  return {
    seconds: number("seconds"),
    rate: number("rate"),
    faultEvery: number("fault-every"),
    seed: number("seed"),
    isFuzzing: values.fuzz
  }
}

/** Gives numbers from 0 up to 1. */
export type Random = () => number

/** Mulberry32. */
export const randomOf = (seed: number): Random => {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

export const pick = <A>(options: { readonly random: Random; readonly from: ReadonlyArray<A> }): A =>
  options.from[Math.floor(options.random() * options.from.length)] as A

export const shuffled = <A>(options: { readonly random: Random; readonly from: ReadonlyArray<A> }): Array<A> =>
  options.from
    .map((element) => ({ element, place: options.random() }))
    .toSorted((one, other) => one.place - other.place)
    .map(({ element }) => element)
