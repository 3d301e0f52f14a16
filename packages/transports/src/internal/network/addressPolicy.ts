/**
 * Restricts connections to public addresses, for programs that take URLs from others.
 *
 * The host of a URL is checked, and every address that a name resolves to, at each dial: a name may resolve to another address each time.
 * The URL parser normalizes the many spellings of an address.
 *
 * @see https://www.iana.org/assignments/iana-ipv4-special-registry/iana-ipv4-special-registry.xhtml
 * @see https://www.iana.org/assignments/iana-ipv6-special-registry/iana-ipv6-special-registry.xhtml
 */
import type { ServerConfig } from "@mcp-sessions/core/ServerConfig"
import { BlockedAddress } from "@mcp-sessions/core/SessionError"
import * as Effect from "effect/Effect"
import * as Dns from "node:dns"
import * as Net from "node:net"

type Config = Pick<Exclude<ServerConfig, { readonly transport: "stdio" }>, "addresses" | "url">

/** Networks that are not globally reachable, or lead to such networks: translated, tunnelled, relayed. */
const ipv4 = [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.0.0.0", 24],
  ["192.0.2.0", 24],
  ["192.88.99.0", 24],
  ["192.168.0.0", 16],
  ["198.18.0.0", 15],
  ["198.51.100.0", 24],
  ["203.0.113.0", 24],
  ["224.0.0.0", 4],
  ["240.0.0.0", 4]
] as const

/** The globally reachable part of IPv6; the rest is special or unassigned. */
const global = new Net.BlockList()
global.addSubnet("2000::", 3, "ipv6")

/** Networks in the globally reachable part that are not globally reachable. */
const ipv6 = [
  ["2001::", 23],
  ["2001:db8::", 32],
  ["2002::", 16],
  ["3fff::", 20]
] as const

// Two lists: in one list, a rule for IPv4-mapped addresses would apply to all of IPv4.
const special = { ipv4: new Net.BlockList(), ipv6: new Net.BlockList() }
for (const [network, prefix] of ipv4) special.ipv4.addSubnet(network, prefix, "ipv4")
for (const [network, prefix] of ipv6) special.ipv6.addSubnet(network, prefix, "ipv6")

/** Names of this host or network, whatever they resolve to. */
const nearby = /(?:^|\.)(?:localhost|local|internal|home\.arpa)\.?$/i

const isPublic = (address: string): boolean => {
  if (!Net.isIPv6(address)) return !special.ipv4.check(address, "ipv4")
  return global.check(address, "ipv6") && !special.ipv6.check(address, "ipv6")
}

/** Whether the host of a URL, a name or an address, may be dialled. */
const mayDial = (host: string): boolean => Net.isIP(host) === 0 ? !nearby.test(host) : isPublic(host)

/** Resolves a name, and fails if any of its addresses may not be dialled. */
const lookup: Net.LookupFunction = (host, options, callback) => {
  Dns.lookup(host, { ...options, all: true }, (error, found) => {
    if (error !== null) return callback(error, "")
    const blocked = found.find(({ address }) => !isPublic(address))
    const [first] = found
    if (blocked !== undefined) return callback(new BlockedAddress({ host, address: blocked.address }), "")
    if (options.all === true) return callback(null, found)
    return callback(null, first?.address ?? "", first?.family)
  })
}

/** Returns the options to dial with, under the policy of a definition. */
export const dialOptions = ({ addresses }: Pick<Config, "addresses">): { readonly lookup?: Net.LookupFunction } =>
  addresses === "public" ? { lookup } : {}

const hostOf = (url: string): string => new URL(url).hostname.replace(/^\[(.*)\]$/, "$1")

/** Whether the policy of a definition allows the host of a URL. */
export const isDialable = ({ addresses, url }: Config): boolean => addresses !== "public" || mayDial(hostOf(url))

/** Fails if the policy of a definition forbids the host of its URL. */
export const guard = (config: Config): Effect.Effect<void, BlockedAddress> =>
  isDialable(config) ? Effect.void : new BlockedAddress({ host: hostOf(config.url) })
