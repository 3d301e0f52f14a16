/**
 * Defects: runs callbacks and effects of requests so that a defect is logged, and its request still ends.
 *
 * An exception in a callback of Node or of a fiber has no caller: it would end the process.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type { Fork } from "../../scopedFork.ts"
import { gatewayFailed, gatewayStopping, type RpcError } from "../protocol/rpc.ts"

interface Guard {
  readonly fork: Fork
  /** Completes "the gateway failed to …" in the log. */
  readonly doing: string
  /** Ends the request: with `gatewayFailed` after a defect, and with `gatewayStopping` if the gateway ends. */
  readonly onFailure: (error: RpcError) => void
}

/** Calls a function. An exception is logged, and then the request ends. */
export const guarded = ({ doing, fork, onFailure }: Guard, run: () => void): void => {
  const log = (defect: unknown) => void fork(Effect.logError(`the gateway failed to ${doing}`, Cause.die(defect)))
  try {
    run()
  } catch (defect) {
    log(defect)
    try {
      onFailure(gatewayFailed)
    } catch (defect) {
      log(defect)
    }
  }
}

/** Runs an effect and hands its value on. A defect of the effect, or an exception of `onValue`, is logged, and then the request ends. */
export const settled = <A>(guard: Guard, { effect, onValue }: {
  readonly effect: Effect.Effect<A>
  readonly onValue: (value: A) => void
}): void => {
  const { doing, fork, onFailure } = guard
  fork(effect).addObserver((exit) =>
    guarded(guard, () => {
      if (exit._tag === "Success") return onValue(exit.value)
      if (Cause.hasInterruptsOnly(exit.cause)) return onFailure(gatewayStopping)
      fork(Effect.logError(`the gateway failed to ${doing}`, exit.cause))
      onFailure(gatewayFailed)
    })
  )
}
