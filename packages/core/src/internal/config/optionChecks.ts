/**
 * Checks of options that programs give: all that is wrong with them is told at once.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { ConfigError, type ConfigProblem, InvalidDuration, InvalidValue } from "../../ConfigError.ts"

type Path = ReadonlyArray<string>

export class Checks {
  readonly #server: string | undefined
  readonly #problems: Array<ConfigProblem> = []

  constructor(server?: string) {
    this.#server = server
  }

  /** Whether nothing is wrong so far. */
  get isGood(): boolean {
    return this.#problems.length === 0
  }

  add(problem: ConfigProblem): void {
    this.#problems.push(problem)
  }

  /** Where a problem is. */
  at(path: Path) {
    return { source: undefined, server: this.#server, path }
  }

  whole(value: number, { from, path, to }: { readonly path: Path; readonly from: number; readonly to: number }): void {
    if (Number.isInteger(value) && value >= from && value <= to) return
    this.add(new InvalidValue({ ...this.at(path), expected: `a whole number from ${from} to ${to}` }))
  }

  /** The milliseconds of a duration; bounds in milliseconds too. */
  millis(
    value: Duration.Input,
    { from, path, to }: { readonly path: Path; readonly from: number; readonly to: number }
  ): number {
    const millis = Option.getOrUndefined(Option.map(Duration.fromInput(value), Duration.toMillis))
    if (millis !== undefined && millis >= from && millis <= to) return millis
    const expected = `between ${Duration.format(Duration.millis(from))} and ${Duration.format(Duration.millis(to))}`
    this.add(new InvalidDuration({ ...this.at(path), expected }))
    return from
  }

  /** Fails with all that is wrong. */
  get done(): Effect.Effect<void, ConfigError> {
    return Effect.suspend(() => {
      const [first, ...rest] = this.#problems
      return first === undefined ? Effect.void : Effect.fail(new ConfigError({ problems: [first, ...rest] }))
    })
  }
}
