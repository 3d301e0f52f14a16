/**
 * The keys that the definition of every server has.
 */
import * as Schema from "effect/Schema"
import { defaulted, durationKey, optional } from "./describedKey.ts"
import {
  boolean,
  duration,
  type durationText,
  expectationOf,
  expecting,
  member,
  nonEmptyText,
  oneOf,
  wholeNumber
} from "./values.ts"

const client = Schema.Struct({
  name: member(nonEmptyText),
  version: member(nonEmptyText),
  title: Schema.optionalKey(nonEmptyText)
}).annotate(expecting("an object with name, version and optionally title, each a non-empty string"))

const rateLimit = Schema.Struct({
  limit: member(wholeNumber({ minimum: 1, maximum: 1_000_000 })),
  window: member(duration({ minimum: 1, maximum: "24 hours" }))
})

/** The keys that every server has, alike for all transports. */
export const common = {
  disabled: defaulted(boolean, {
    description: "Keeps the definition, and fails every use of the server with `DisabledServer`.",
    default: false,
    why: "Switches a server off without losing its definition."
  }),
  protocol: defaulted(oneOf(["auto", "legacy", "2026-07-28"]), {
    description:
      "Selects the protocol: `legacy` starts with `initialize` (revisions 2024-11-05 to 2025-11-25), `2026-07-28` is stateless and waits for the server until `connectTimeout`, `auto` negotiates.",
    default: "auto",
    why: "Servers of both eras are in use."
  }),
  clientInfo: defaulted(client, {
    description: "Names the client to the server.",
    default: { name: "mcp-sessions", version: "0.1.0" },
    defaultText: "mcp-sessions and its version",
    why: "Servers log it."
  }),
  requestTimeout: durationKey({
    minimum: 1,
    maximum: "24 hours",
    default: "60 seconds",
    documentation: {
      description:
        "Limits the wait for the response to one request. Progress notifications start it anew. A call that takes longer has a `timeout` of its own: above 10 seconds, it also lets the server answer no ping meanwhile.",
      why: "MCP clients commonly wait this long."
    }
  }),
  totalTimeout: durationKey({
    minimum: 1,
    maximum: "24 hours",
    default: "5 minutes",
    documentation: {
      description: "Limits one operation: queueing, all attempts and the backoff between them.",
      why: "The sum of all attempts needs a bound too."
    }
  }),
  probeTimeout: durationKey({
    minimum: 10,
    maximum: "1 minute",
    default: "3 seconds",
    documentation: {
      description:
        "Limits the wait for the response to the era probe when `protocol` is `auto`, also to half of `connectTimeout`. A server that stays silent then gets `initialize`, and a late response to the probe still counts.",
      why: "Older servers ignore unknown methods, and slow ones start late."
    }
  }),
  healthInterval: durationKey({
    minimum: 0,
    maximum: "24 hours",
    default: "60 seconds",
    documentation: {
      description:
        "Probes a quiet connection at this interval (±20 %), but not before a request in flight has waited as long. A server that does not answer within 10 seconds is replaced, and its requests in flight end, except calls that have reported progress or have a `timeout` of their own above 10 seconds. Set it above the longest other call of a server that handles one at a time. 0 disables the probes.",
      why: "A lost connection does not always report its end."
    }
  }),
  maxLifetime: durationKey({
    minimum: 0,
    maximum: "30 days",
    default: 0,
    documentation: {
      description: "Replaces a connection at this age, less up to 2.5 % at random. 0 disables the replacement.",
      why: "Rebalances connections behind a load balancer and limits leaks, at the price of the server's session state."
    }
  }),
  maxInFlight: defaulted(wholeNumber({ minimum: 1, maximum: 100_000 }), {
    description: "Limits the requests in flight of one session. Further requests queue.",
    default: 64,
    why: "One caller with many requests must not delay the next caller."
  }),
  maxInFlightTotal: defaulted(wholeNumber({ minimum: 1, maximum: 100_000 }), {
    description: "Limits the requests in flight of all sessions of the server. Owners take turns.",
    default: 256,
    why: "One owner must not take every permit."
  }),
  maxQueued: defaulted(wholeNumber({ minimum: 0, maximum: 1_000_000 }), {
    description: "Limits the queued requests of one session. Further requests fail with `QueueFull`.",
    default: 1000,
    why: "An unbounded queue hides that a server cannot keep up."
  }),
  rateLimit: optional(
    rateLimit.annotate(expecting(
      `an object with limit (${expectationOf(rateLimit.fields.limit)?.text}) and window (${
        expectationOf(rateLimit.fields.window)?.text
      })`
    )),
    {
      description: "Limits how many requests start within a time window.",
      defaultText: "unlimited",
      why: "Stays within a published quota. Without it, `Retry-After` of a 429 response delays requests."
    }
  ),
  maxMessageBytes: defaulted(wholeNumber({ minimum: 1024, maximum: 1024 ** 3 }), {
    description: "Limits the size of one message from the server, in bytes, after decompression.",
    default: 16 * 1024 ** 2,
    defaultText: "16777216 (16 MiB)",
    why: "A server must not exhaust the memory of the client."
  }),
  trusted: defaulted(boolean, {
    description: "Lets retries rely on `readOnlyHint` and `idempotentHint` of the server's tools.",
    default: false,
    why: "A hostile server can mark any tool as safe to repeat."
  }),
  stateless: defaulted(boolean, {
    description:
      "Lets the clients of a gateway share one session of the server. Without it, each client has a session of its own.",
    default: false,
    why: "A server may keep state for a session that another client must not see."
  })
}

/** Describes `connectTimeout`, whose default depends on the transport. */
export const connectTimeout = (value: Parameters<typeof durationText>[0], why: string) =>
  durationKey({
    minimum: 1,
    maximum: "10 minutes",
    default: value,
    documentation: {
      description: "Limits one connect, from its start to the end of the handshake.",
      why
    }
  })

/** Describes `idleTimeToLive`, whose default depends on the transport. */
export const idleTimeToLive = (value: Parameters<typeof durationText>[0], why: string) =>
  durationKey({
    minimum: 0,
    maximum: "24 hours",
    default: value,
    documentation: {
      description: "Closes a connection that stays unused for this long.",
      why
    }
  })
