/**
 * The page of a gateway, from the parts and the options of the gateway.
 */
import * as Effect from "effect/Effect"
import type { Recorder } from "../gateway/call/audit.ts"
import type { ReadOptions } from "../gateway/gatewayOptions.ts"
import type { Backend, Failure } from "./backend.ts"
import { gatewayBackend, type GatewayBackendOptions } from "./gatewayBackend.ts"
import { type PageOptions, PageServer } from "./pageServer.ts"
import { type Watch, watchOf } from "./watch.ts"

export interface GatewayPageOptions
  extends
    Pick<GatewayBackendOptions, "catalog" | "clients" | "dispatcher" | "quotas" | "servers">,
    Pick<PageOptions, "fork" | "now" | "streams" | "timeOfDay">
{
  readonly read: ReadOptions
  /** Whether the gateway is several processes, of which the page shows one. */
  readonly isShared: boolean
  readonly onUrl: PageOptions["onUrl"] | undefined
  /** The owners of the sessions of the gateway itself. */
  readonly owners: { readonly lists: string; readonly shared: string }
  readonly sessions: Pick<Backend, "eject" | "readmit" | "restart" | "status"> & {
    readonly signIn: (server: string, options: { readonly owner: string }) => Effect.Effect<void, Failure>
  }
  readonly watch: Watch
}

export const gatewayPage = (options: GatewayPageOptions): PageServer => {
  const { isShared, owners: { lists, shared }, read, servers, sessions } = options
  const { eject, readmit, restart, signIn, status } = sessions
  const isAnonymous = Object.keys(read.tokens).length === 0 && read.issuers.length === 0
  const backend = gatewayBackend({
    ...options,
    title: isShared ? "gateway: this process only, of a fleet" : "gateway",
    isOperator: (principal) => isAnonymous || read.operators.includes(principal),
    watch: watchOf({ servers, watch: options.watch }),
    status,
    restart,
    eject,
    readmit,
    signIn: (server) => signIn(server, { owner: lists }),
    ownClients: [
      { owner: lists, principal: undefined, label: "lists of the gateway", inFlight: 0 },
      { owner: shared, principal: undefined, label: "shared by clients", inFlight: 0 }
    ]
  })
  const onUrl = options.onUrl ?? ((url) => Effect.logInfo(`the page is at ${url}`))
  return new PageServer({ ...options, backend, onUrl, isAnonymous })
}

/** Shows calls on the page, and passes all records on. */
export const pageRecorder = (page: () => PageServer | undefined, record: Recorder | undefined): Recorder => (one) => {
  if (one._tag === "Used") page()?.feed.record(one)
  record?.(one)
}
