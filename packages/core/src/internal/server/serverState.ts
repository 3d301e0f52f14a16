/**
 * State of one server, shared by the connections of all owners: its health, its limits, and its telemetry.
 */
import type * as Clock from "effect/Clock"
import * as Health from "../../Health.ts"
import type { SessionError } from "../../SessionError.ts"
import * as monotonic from "../monotonic.ts"
import type { ServerTelemetry } from "../telemetry/serverTelemetry.ts"
import type { Bulkhead } from "./bulkhead.ts"
import type { CircuitBreaker } from "./circuitBreaker.ts"
import type { RateLimit } from "./rateLimit.ts"
import { RetryBudget } from "./retryBudget.ts"

export class ServerState {
  readonly circuitBreaker: CircuitBreaker
  /** Limits the requests in flight over all sessions of the server. */
  readonly bulkhead: Bulkhead
  readonly rateLimit: RateLimit
  readonly retryBudget = new RetryBudget()
  readonly telemetry: ServerTelemetry
  readonly #listeners = new Set<() => void>()
  #health: Health.Health = Health.unknown
  /** When the latest request succeeded while the record already said so: written for each response, so it costs no allocation. */
  #lastSuccess = 0

  constructor(options: {
    readonly circuitBreaker: CircuitBreaker
    readonly bulkhead: Bulkhead
    readonly rateLimit: RateLimit
    readonly telemetry: ServerTelemetry
  }) {
    this.circuitBreaker = options.circuitBreaker
    this.bulkhead = options.bulkhead
    this.rateLimit = options.rateLimit
    this.telemetry = options.telemetry
  }

  /** The health record as of now. Its times are monotonic. */
  get health(): Health.Health {
    const { lastChecked } = this.#health
    if (lastChecked !== undefined && this.#lastSuccess > lastChecked) {
      this.#health = { ...this.#health, lastChecked: this.#lastSuccess }
    }
    return this.#health
  }

  /** The health as users see it: with times of day. */
  report(clock: Clock.Clock): Health.HealthReport {
    const report = Health.report({ health: this.health, now: monotonic.nowOf(clock) })
    const { lastChecked } = report
    return lastChecked === undefined ? report : { ...report, lastChecked: monotonic.toWall(clock, lastChecked) }
  }

  /** Records a response of the server. */
  succeeded(now: number): void {
    const { errorCount, lastChecked } = this.#health
    if (errorCount === 0 && lastChecked !== undefined) this.#lastSuccess = now
    else this.#set(Health.succeeded({ health: this.health, now }))
  }

  /** Records a completed handshake. */
  connected(now: number): void {
    this.#set(Health.connected({ health: this.health, now }))
  }

  /** Records a failed request or, with `isConnect`, a failed attempt to connect. */
  failed(error: SessionError, now: number, isConnect = false): void {
    const { health } = this
    this.#set(isConnect ? Health.connectFailed({ health, error, now }) : Health.failed({ health, error, now }))
  }

  /** Calls a listener whenever the status may have changed otherwise than by age. Returns its removal. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Reports a change of a connection. */
  changed(): void {
    for (const listener of this.#listeners) listener()
  }

  #set(next: Health.Health): void {
    const { errorCount, isConnectFailing, lastChecked } = this.#health
    const isChanged = next.errorCount !== errorCount || next.isConnectFailing !== isConnectFailing ||
      lastChecked === undefined
    this.#health = next
    if (isChanged) this.changed()
  }
}
