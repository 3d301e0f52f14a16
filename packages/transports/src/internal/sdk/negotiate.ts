/**
 * Negotiation: finds the era of a server, and for HTTP the transport that it speaks.
 *
 * With `protocol: "auto"`, the era is probed on the channel that will be used. The rules are in `eraMachine.ts`. A channel is closed before
 * another is opened: there are never two processes at a time. An answer that shows the legacy era is kept for the next connection of the
 * transport. Where the handlers prefer the legacy era, it is tried first, as if it were known.
 */
import type { ServerConfig } from "@mcp-sessions/core/ServerConfig"
import type { ConnectReason } from "@mcp-sessions/core/SessionError"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { ChannelHandshake, type HandshakeOutcome } from "./channelHandshake.ts"
import type { AskableClient } from "./clientHandlers.ts"
import { type Connecting, type Fallback, noRefusal, type Open, openChannel } from "./connecting.ts"
import { type EraState, initial } from "./eraMachine.ts"

const erasOf = (protocol: ServerConfig["protocol"]): EraState["eras"] =>
  protocol === "auto" ? "both" : protocol === "legacy" ? "legacy" : "modern"

/** How long to wait for the answer to the probe before `initialize` is sent. It leaves `initialize` half the time of the connect. */
const probeTimeoutOf = ({ connectTimeout, probeTimeout }: Connecting["options"]["config"]): Duration.Duration =>
  Duration.min(probeTimeout, Duration.millis(Duration.toMillis(connectTimeout) / 2))

/** Runs the handshake on the channel. */
const handshakeOn = (connecting: Connecting, state: EraState): Effect.Effect<HandshakeOutcome> =>
  Effect.suspend(() => {
    let handshake: ChannelHandshake | undefined
    const outcome = Effect.callback<HandshakeOutcome>((resume) => {
      const started = handshake = new ChannelHandshake(
        connecting,
        state,
        (outcome) => resume(Effect.succeed(outcome))
      )
      connecting.refusal = () => started.refusal
      started.start()
      return Effect.sync(() => started.stop())
    })
    if (state.eras !== "both" || state.first !== "discover") return outcome
    const silence = Effect.sleep(probeTimeoutOf(connecting.options.config)).pipe(
      Effect.andThen(Effect.sync(() => handshake?.silence())),
      Effect.forever
    )
    // A second start takes about as long as the first.
    const late = Effect.sleep(Duration.millis(Duration.toMillis(connecting.options.config.connectTimeout) / 3)).pipe(
      Effect.andThen(Effect.sync(() => handshake?.late())),
      Effect.andThen(Effect.never)
    )
    return Effect.raceFirst(outcome, Effect.raceFirst(silence, late))
  })

const prefersLegacy = ({ peer: { handlers } }: Connecting): boolean => handlers.prefersLegacy === true

/** Closes the channel, and opens another in its place. */
const reopen = (connecting: Connecting, open: Open): Effect.Effect<void, ConnectReason> =>
  Scope.close(connecting.channelScope, Exit.void).pipe(
    Effect.andThen(openChannel({ open, scope: connecting.scope })),
    Effect.map((opened) => void Object.assign(connecting, opened))
  )

const run = (connecting: Connecting, state: EraState, open: Open): Effect.Effect<AskableClient, ConnectReason> =>
  Effect.flatMap(handshakeOn(connecting, state), (outcome) => {
    switch (outcome._tag) {
      case "Connected":
        // A preference says nothing about the server.
        if (!prefersLegacy(connecting)) connecting.options.era.isLegacy = outcome.state.isKnownLegacy
        // Nothing refers to the handshake any more.
        connecting.refusal = noRefusal
        return Effect.succeed(outcome.client)
      case "Restart":
        return Effect.andThen(reopen(connecting, open), run(connecting, outcome.state, open))
      case "Failed":
        return Effect.fail(outcome.reason)
    }
  })

const negotiateEra = (connecting: Connecting): Effect.Effect<AskableClient, ConnectReason> =>
  Effect.suspend(() => {
    const { config, era, open } = connecting.options
    const state = initial({
      eras: erasOf(config.protocol),
      canRestart: connecting.kind !== "streamable_http" && connecting.kind !== "sse",
      isKnownLegacy: era.isLegacy || prefersLegacy(connecting)
    })
    return Effect.onError(run(connecting, state, open), () =>
      // The server may be replaced by another before the next connect.
      Effect.sync(() => {
        era.isLegacy = false
      }))
  })

/** Connects over the fallback transport, which is legacy SSE, and remembers it. */
const fallbackToSse = (connecting: Connecting, fallback: Fallback): Effect.Effect<AskableClient, ConnectReason> => {
  const state = initial({ eras: "legacy", canRestart: false, isKnownLegacy: false })
  return reopen(connecting, fallback.open).pipe(
    Effect.andThen(run(connecting, state, fallback.open)),
    Effect.tap(() =>
      Effect.sync(() => {
        connecting.kind = fallback.kind
        connecting.options.era.isFallback = true
      })
    )
  )
}

/** Negotiates the era and the transport. Returns the SDK's client, which is initialized. */
export const negotiate = (connecting: Connecting): Effect.Effect<AskableClient, ConnectReason> =>
  Effect.suspend(() => {
    const { era, fallback } = connecting.options
    if (fallback === undefined) return negotiateEra(connecting)
    if (era.isFallback) {
      return Effect.onError(fallbackToSse(connecting, fallback), () =>
        Effect.sync(() => {
          era.isFallback = false
        }))
    }
    return Effect.catchIf(
      negotiateEra(connecting),
      fallback.isFor,
      // Where the fallback fails too, the failure of the first transport says more.
      (reason) => Effect.mapError(fallbackToSse(connecting, fallback), () => reason)
    )
  })
