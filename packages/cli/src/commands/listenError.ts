/**
 * Addresses that the system refuses, as errors of the flags that name them.
 */
import type { ListenFailed } from "@mcp-sessions/transports/Gateway"
import { UsageError } from "../Failure.ts"

/** The flag of a host to listen on, and what the port flag may be instead. */
interface AddressFlags {
  readonly host: string
  readonly port: string
}

const ownAddress: AddressFlags = { host: "--host", port: "another --port, or no --port for a free one" }

const nodeAddress: AddressFlags = { host: "--node-host", port: "another --node-port" }

/** Returns what helps if the system refuses an address. `undefined` for codes that no flag corrects. */
const adviceOf = ({ code }: ListenFailed, { host, port }: AddressFlags): string | undefined => {
  switch (code) {
    case "EACCES":
    case "EADDRINUSE":
      return port
    case "EADDRNOTAVAIL":
    case "EAI_AGAIN":
    case "ENOTFOUND":
      return `another ${host}: an address of this machine`
    default:
      return undefined
  }
}

/** Describes an address that `serve` cannot listen on. The port of `--port` is that of the endpoint; any other is that of a node. */
export const toListenError = (...[failure, port]: readonly [failure: ListenFailed, port: number]): UsageError => {
  const hint = adviceOf(failure, failure.port === port ? ownAddress : nodeAddress)
  return new UsageError({ problems: [failure.message], ...(hint === undefined ? {} : { hint }) })
}
