/**
 * Private addresses: those of one network, which programs on other networks do not reach.
 *
 * @see https://www.rfc-editor.org/rfc/rfc1918#section-3
 * @see https://www.rfc-editor.org/rfc/rfc6598#section-7
 * @see https://www.rfc-editor.org/rfc/rfc4193#section-3
 */
import * as Net from "node:net"

const addresses = new Net.BlockList()
addresses.addSubnet("10.0.0.0", 8, "ipv4")
addresses.addSubnet("100.64.0.0", 10, "ipv4")
addresses.addSubnet("169.254.0.0", 16, "ipv4")
addresses.addSubnet("172.16.0.0", 12, "ipv4")
addresses.addSubnet("192.168.0.0", 16, "ipv4")
addresses.addSubnet("fc00::", 7, "ipv6")
addresses.addSubnet("fe80::", 10, "ipv6")

/** Whether a host is a private address. A name is not: it may resolve to any address. */
export const isPrivate = (host: string): boolean => {
  const family = Net.isIP(host)
  return family !== 0 && addresses.check(host, family === 4 ? "ipv4" : "ipv6")
}
