/**
 * Loopback: the addresses and names by which only programs of this machine reach a listener.
 *
 * @see https://www.rfc-editor.org/rfc/rfc6761#section-6.3
 */
import * as Net from "node:net"

const addresses = new Net.BlockList()
addresses.addSubnet("127.0.0.0", 8, "ipv4")
addresses.addAddress("::1", "ipv6")

/** Whether a host is this machine itself, by its name or address. An address of IPv6 may have brackets. */
export const isLoopback = (host: string): boolean => {
  const bare = host.replace(/^\[(.*)\]$/, "$1")
  const family = Net.isIP(bare)
  return family === 0 ? /^(?:[^.]+\.)*localhost$/i.test(host) : addresses.check(bare, family === 4 ? "ipv4" : "ipv6")
}
