/**
 * What the soak may be told at the shell.
 */
import { parseArgs } from "node:util"

export interface Options {
  /** How long all phases take together, in seconds. */
  readonly seconds: number
  /** Calls per second. */
  readonly rate: number
  /** A fault every so many seconds. */
  readonly faultEvery: number
  readonly seed: number
}

export const usage = `node --expose-gc bench/soak.ts [options]

Calls real servers at a steady rate while they fail in many ways, and tells what became of it as Markdown on stdout.
Exits with 1 if anything happened that must not happen, with 2 if it was called wrongly.

  --seconds N      how long all of it takes; default 600, at least 10
  --rate N         calls per second; default 50, at most 1000
  --fault-every N  seconds from one fault to the next; default 5
  --seed N         what the order of calls and faults is made from; default: another each time
  --help           this
`

export type Asked =
  | { readonly _tag: "Run"; readonly options: Options }
  | { readonly _tag: "Help" }
  | { readonly _tag: "Wrong"; readonly problem: string }

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
    help: { type: "boolean", default: false }
  }
} as const

/** Reads the arguments. `anySeed` is the seed where none is given. */
export const read = (options: { readonly args: ReadonlyArray<string>; readonly anySeed: number }): Asked => {
  try {
    const { values } = parseArgs({ ...config, args: [...options.args] })
    if (values.help) return { _tag: "Help" }
    const number = (name: keyof typeof bounds): number => {
      const { max, min } = bounds[name]
      const text = values[name] ?? String(options.anySeed)
      const value = text.trim() === "" ? Number.NaN : Number(text)
      if (value >= min && value <= max && (name !== "seed" || Number.isInteger(value))) return value
      const kind = name === "seed" ? "a whole number" : "a number"
      throw new RangeError(`--${name} is ${kind} from ${min} to ${max}, not ${JSON.stringify(text)}`)
    }
    return {
      _tag: "Run",
      options: {
        seconds: number("seconds"),
        rate: number("rate"),
        faultEvery: number("fault-every"),
        seed: number("seed")
      }
    }
  } catch (error) {
    return { _tag: "Wrong", problem: error instanceof Error ? error.message : String(error) }
  }
}
