/**
 * The machine that Node runs on, for configuration files: implements the `Host` port of core.
 *
 * Trust decisions are files in `mcp-sessions/trusted` in the directory where the platform keeps the settings of programs (`$XDG_CONFIG_HOME`,
 * `~/.config`, `~/Library/Application Support`, `%APPDATA%`). The directory has mode 0700 and the files 0600.
 *
 * **Example** (Reading a file)
 *
 * ```ts import.meta.vitest
 * import { Host } from "@mcp-sessions/core"
 * import { NodeHost } from "@mcp-sessions/transports"
 * import { Effect } from "effect"
 *
 * const program = Effect.flatMap(Host.Host, ({ readFile }) => readFile("/no/such/file", 1024))
 * const refused = await Effect.runPromise(Effect.flip(Effect.provide(program, NodeHost.layer)))
 * refused.reason // => "Missing"
 * ```
 *
 * @since 0.1.0
 */
import { Host } from "@mcp-sessions/core/Host"
import * as Layer from "effect/Layer"
import { make } from "./internal/host/nodeHost.ts"

export {
  /**
   * Returns the path of the record that the user trusts a file with its content. The file is there while the user does, and only its owner may write
   * it or its directory. Fails if the user has no home directory.
   *
   * @category getters
   * @since 0.1.0
   */
  trustRecordOf
} from "./internal/host/trustRecord.ts"

export {
  /**
   * Makes the service. `environment` and `workingDirectory` replace those of the process, for programs that run commands of other processes.
   *
   * @category constructors
   * @since 0.1.0
   */
  make
} from "./internal/host/nodeHost.ts"

export {
  /**
   * Whether only programs of this machine reach a listener at this host: an address of loopback, or a name below `localhost` (RFC 6761). A gateway
   * that listens at another one needs tokens.
   *
   * @category guards
   * @since 0.1.0
   */
  isLoopback
} from "./internal/loopback.ts"

/**
 * Layer that provides the machine of this process.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Host> = Layer.sync(Host, () => make())
