/**
 * Handshake of the revisions up to 2025-11-25: what a client says in `initialize`, and what the gateway answers.
 */
import type { DeclaredCapabilities } from "@mcp-sessions/core/ClientHandlers"
import * as Predicate from "effect/Predicate"
import type { Catalog } from "../catalog/catalog.ts"
import { tasksRevision } from "../client/taskRequests.ts"
import type { Tasks } from "../client/tasks.ts"
import { capabilitiesFrom } from "../protocol/capabilities.ts"
import { codes, RpcError } from "../protocol/rpc.ts"

/** The revisions that clients may speak, the newest first. */
export const revisions: readonly [string, ...Array<string>] = ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"]

const capabilities = {
  tools: { listChanged: true },
  resources: { listChanged: true, subscribe: true },
  prompts: { listChanged: true },
  completions: {},
  logging: {}
}

/** The error of an `initialize` that lacks something. */
export const badInitialize = new RpcError({
  code: codes.invalidParams,
  message: "protocolVersion or capabilities is missing"
})

/** Reads the params of `initialize`. Returns `undefined` if they lack something. A revision that is not known becomes the newest. */
export const initializeParamsOf = (
  params: unknown
): { readonly protocolVersion: string; readonly capabilities: DeclaredCapabilities } | undefined => {
  const { capabilities, protocolVersion } = (Predicate.isObject(params) ? params : {}) as Record<string, unknown>
  return Predicate.isString(protocolVersion) && Predicate.isObject(capabilities)
    ? {
      protocolVersion: revisions.includes(protocolVersion) ? protocolVersion : revisions[0],
      capabilities: capabilitiesFrom(capabilities)
    }
    : undefined
}

/** The result of `initialize`. */
export const initialized = ({ catalog: { instructions }, protocolVersion, serverInfo, tasks }: {
  readonly catalog: Catalog
  readonly tasks: Tasks
  readonly protocolVersion: string
  readonly serverInfo: { readonly name: string; readonly version: string }
}): object => ({
  protocolVersion,
  capabilities: tasks.isOffered && protocolVersion === tasksRevision
    ? { ...capabilities, tasks: { list: {}, cancel: {}, requests: { tools: { call: {} } } } }
    : capabilities,
  serverInfo,
  ...(instructions === undefined ? {} : { instructions })
})
