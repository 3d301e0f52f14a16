/**
 * Ping: the operation that only asks whether the server answers.
 */
import * as Exit from "effect/Exit"
import { pingMethod } from "../connection/liveness.ts"
import type { RequestOperation } from "./operation.ts"

/** A ping, as an operation of the program or as a probe. */
export const pingOperation: Omit<RequestOperation<void>, "kind"> = {
  method: "ping",
  params: undefined,
  wireMethod: pingMethod,
  decode: () => Exit.void,
  // An error response is a response: some servers do not implement the method.
  recover: ({ _tag }) => _tag === "ProtocolFailed" || _tag === "InvalidResult" ? Exit.void : undefined
}
