/**
 * Contenders take short rounds in turn: a machine that is slow for a while is slow for all of them.
 */
export const median = (values: ReadonlyArray<number>): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN

/** The median of the ratios within the rounds: those of measurements a moment apart. What slows the machine for seconds cancels out. */
export const medianRatio = (values: ReadonlyArray<number>, base: ReadonlyArray<number>): number =>
  median(values.map((value, round) => value / (base[round] ?? Number.NaN)))

/** Measures each contender in each round. Each is the first in some of the rounds. Gives the measurements of each. */
export const takeTurns = async <A, B>(
  { contenders, measure, rounds }: {
    readonly contenders: ReadonlyArray<A>
    readonly rounds: number
    readonly measure: (contender: A) => B | Promise<B>
  }
): Promise<ReadonlyArray<ReadonlyArray<B>>> => {
  const measured = contenders.map((contender) => ({ contender, values: new Array<B>() }))
  for (let round = 0; round < rounds; round++) {
    const first = round % measured.length
    for (const { contender, values } of [...measured.slice(first), ...measured.slice(0, first)]) {
      values.push(await measure(contender))
    }
    process.stderr.write(".")
  }
  process.stderr.write("\n")
  return measured.map(({ values }) => values)
}
