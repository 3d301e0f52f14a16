/**
 * Reads `NO_PROXY`: the list of hosts that need no proxy, separated by commas or white space.
 *
 * | entry | fits |
 * | --- | --- |
 * | `*` | every host |
 * | `example.com`, `.example.com` | the host and its subdomains |
 * | `*.example.com` | its subdomains |
 * | `10.0.0.1`, `[::1]` | the address |
 * | `10.0.0.0/8`, `fd00::/8` | the addresses of the network |
 *
 * An entry with a port, such as `example.com:8080` and `[::1]:8080`, fits that port alone.
 */
import * as Net from "node:net"
import type { Destination } from "./destination.ts"

interface Entry {
  readonly host: string
  /** `undefined`: every port. */
  readonly port: number | undefined
}

const entryOf = (text: string): Entry => {
  const [, bracketed, portAfter] = /^\[(.+)\](?::(\d+))?$/.exec(text) ?? []
  if (bracketed !== undefined) return { host: bracketed, port: portAfter === undefined ? undefined : Number(portAfter) }
  // More than one colon: an address of IPv6 without a port.
  const [, host, port] = /^([^:]+):(\d+)$/.exec(text) ?? []
  return host === undefined ? { host: text, port: undefined } : { host, port: Number(port) }
}

const familyOf = (address: string): "ipv4" | "ipv6" => Net.isIPv6(address) ? "ipv6" : "ipv4"

/** Whether an address belongs to a network. An entry that is no network fits nothing. */
const isInNetwork = (address: string, network: string): boolean => {
  const [, base = "", length] = /^([^/]+)\/(\d{1,3})$/.exec(network) ?? []
  const prefix = Number(length)
  if (Net.isIP(base) === 0 || Net.isIP(address) === 0 || prefix > (Net.isIPv6(base) ? 128 : 32)) return false
  const list = new Net.BlockList()
  list.addSubnet(base, prefix, familyOf(base))
  return list.check(address, familyOf(address))
}

const fits = (entry: Entry, { host, port }: Destination): boolean => {
  if (entry.port !== undefined && entry.port !== port) return false
  if (entry.host === "*") return true
  if (entry.host.includes("/")) return isInNetwork(host, entry.host)
  const isWildcard = entry.host.startsWith("*.")
  const name = entry.host.replace(/^\*?\./, "").replace(/\.$/, "")
  return !isWildcard && host === name || name !== "" && host.endsWith(`.${name}`)
}

/** Whether a destination is on the list of hosts that need no proxy. */
export const needsNoProxy = (...[destination, list]: readonly [Destination, string]): boolean =>
  list.toLowerCase().split(/[,\s]+/).some((text) => text !== "" && fits(entryOf(text), destination))
