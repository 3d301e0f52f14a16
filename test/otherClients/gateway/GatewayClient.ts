/**
 * A client as it uses a gateway: through its public API or its command, in the way that its documentation shows.
 */
export interface GatewaySession {
  /** Gives the names of the tools. */
  readonly list: () => Promise<ReadonlyArray<string>>
  readonly call: (tool: string, args: Record<string, unknown>) => Promise<unknown>
  /** Gives the number of progress reports of a call. Absent where the client passes none on. */
  readonly reports?: (tool: string, args: Record<string, unknown>) => Promise<number>
  readonly read: (uri: string) => Promise<unknown>
  readonly close: () => Promise<unknown>
}

export type OpenAtGateway = (url: string) => Promise<GatewaySession>
