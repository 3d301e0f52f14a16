/**
 * Options of a node of a cluster: checked as a whole before anything is opened.
 */
import { type ConfigProblem, InvalidValue } from "@mcp-sessions/core/ConfigError"
import * as Predicate from "effect/Predicate"
import { isLoopback } from "../loopback.ts"
import { isPrivate } from "../privateAddress.ts"
import { keysOf, unknownKeys } from "../unknownKeys.ts"
import { type NodeTls, problemsOfTls } from "./tls.ts"

/**
 * Options of {@link layerCluster}.
 *
 * @category models
 * @since 0.1.0
 */
export interface ClusterOptions {
  /**
   * The address to listen on for other nodes. Without `tls`, it has to be an address of loopback or a private one (RFC 1918, RFC 6598, RFC 4193, or
   * link-local), unless `insecureNetwork` is on. Default: `"127.0.0.1"`.
   */
  readonly host?: string | undefined
  /** The port to listen on for other nodes; 0 takes a free one. Default: 0. */
  readonly port?: number | undefined
  /** The URL at which other nodes reach this one, such as `http://10.0.0.5:7000`; `https` with `tls`. Default: `host` and the port. */
  readonly advertisedUrl?: string | undefined
  /** Certificates for the connections between nodes. Default: none, and connections are not encrypted. */
  readonly tls?: NodeTls | undefined
  /**
   * Whether `host` may be any address without `tls`, because the network keeps other programs from the port, such as by a network policy. Requests
   * between nodes can then be read on the way. Default: `false`.
   */
  readonly insecureNetwork?: boolean | undefined
}

const known = keysOf<ClusterOptions>({ advertisedUrl: true, host: true, insecureNetwork: true, port: true, tls: true })

/** Finds the problems of the options of a node. */
export const problemsOfCluster = (options: ClusterOptions): ReadonlyArray<ConfigProblem> => {
  const { advertisedUrl, host = "127.0.0.1", insecureNetwork = false, port = 0, tls } = options
  const protocol = tls === undefined ? "http:" : "https:"
  const isAddress = Predicate.isString(host) && host !== ""
  const expect = (isValid: boolean, key: keyof ClusterOptions, expected: string) =>
    isValid ? [] : [new InvalidValue({ path: ["cluster", key], expected })]
  return [
    ...unknownKeys({ options, known, path: ["cluster"] }),
    ...expect(isAddress, "host", "an address"),
    ...expect(
      Number.isInteger(port) && port >= 0 && port <= 65_535,
      "port",
      "a whole number from 0 to 65535"
    ),
    ...expect(
      advertisedUrl === undefined ||
        (Predicate.isString(advertisedUrl) && URL.parse(advertisedUrl)?.protocol === protocol),
      "advertisedUrl",
      `a URL with ${protocol}`
    ),
    ...expect(Predicate.isBoolean(insecureNetwork), "insecureNetwork", "true or false"),
    ...tls === undefined ? [] : problemsOfTls(tls, ["cluster", "tls"]),
    ...expect(
      !isAddress || tls !== undefined || insecureNetwork || isLoopback(host) || isPrivate(host),
      "tls",
      "certificates, because `host` is not a private address and others may reach it; `insecureNetwork` does without"
    )
  ]
}
