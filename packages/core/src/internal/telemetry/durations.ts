/**
 * Durations of requests and connections of one server and one revision, by method, target and failure.
 *
 * Targets come from programs, perhaps from a model, and codes of failures from servers. Their number is bounded: what is beyond the bound counts
 * under `_OTHER`.
 */
import type { Reason } from "../../SessionError.ts"
import { attributes as names } from "../../Telemetry.ts"
import { errorAttributes, type Target, targetAttributes } from "./attributes.ts"
import type { Histogram } from "./histogram.ts"
import type { Attributes } from "./registerMetrics.ts"

/** How many series of requests one server and one revision may have before others count as one for each method. */
const maxSeries = 500

const other = "_OTHER"

/** How a request failed: with a result that is an error of the tool, by the interruption of its caller, or for a reason. */
export type Failure = Reason | "tool_error" | "Cancelled"

const attributesOf = (failure: Failure | undefined): Attributes =>
  failure === undefined
    ? {}
    : typeof failure === "string"
    ? { [names.errorType.name]: failure }
    : errorAttributes(failure)

export class Durations {
  readonly #show: (kind: "operationDuration" | "sessionDuration", attributes: Attributes) => Histogram
  /** The series of results, by tool and by method: they are looked up for each request. */
  readonly #tools = new Map<string, Histogram>()
  readonly #methods = new Map<string, Histogram>()
  readonly #series = new Map<string, Histogram>()

  constructor(show: (kind: "operationDuration" | "sessionDuration", attributes: Attributes) => Histogram) {
    this.#show = show
  }

  /**
   * Records a result that took `seconds`, if such a result was recorded before. Returns whether it did. Allocates nothing: it runs for each
   * call.
   */
  repeated(method: string, tool: string | undefined, seconds: number): boolean {
    const known = tool === undefined ? this.#methods.get(method) : this.#tools.get(tool)
    known?.observe(seconds)
    return known !== undefined
  }

  /** Records a request that took `seconds`. */
  request(target: Target, seconds: number, failure: Failure | undefined): void {
    const histogram = this.#find(target, failure)
    histogram.observe(seconds)
    const { method, prompt, tool } = target
    if (failure !== undefined || prompt !== undefined) return
    if (tool === undefined) this.#methods.set(method, histogram)
    else if (this.#tools.size < maxSeries) this.#tools.set(tool, histogram)
  }

  /** Records a connection that was used for `seconds`, and the reason of its loss, if it was lost. */
  session(seconds: number, lost: Reason | undefined): void {
    this.#of("sessionDuration", lost === undefined ? {} : errorAttributes(lost)).observe(seconds)
  }

  #find(target: Target, failure: Failure | undefined): Histogram {
    const exact = { ...targetAttributes(target), ...attributesOf(failure) }
    if (this.#series.size < maxSeries || this.#series.has(keyOf("operationDuration", exact))) {
      return this.#of("operationDuration", exact)
    }
    const { method, prompt, tool } = target
    const rest = {
      method,
      ...(tool === undefined ? {} : { tool: other }),
      ...(prompt === undefined ? {} : { prompt: other })
    }
    return this.#of("operationDuration", {
      ...targetAttributes(rest),
      ...(failure === undefined ? {} : { [names.errorType.name]: other })
    })
  }

  #of(kind: "operationDuration" | "sessionDuration", attributes: Attributes): Histogram {
    const key = keyOf(kind, attributes)
    const known = this.#series.get(key)
    if (known !== undefined) return known
    const histogram = this.#show(kind, attributes)
    this.#series.set(key, histogram)
    return histogram
  }
}

const keyOf = (kind: string, attributes: Attributes): string => JSON.stringify([kind, attributes])
