/**
 * Names of tools for language models: 1 to 64 letters, digits, `_` and `-`, which all providers accept.
 */
import * as Effect from "effect/Effect"
import type { Fingerprint } from "./fingerprint.ts"

/** A tool of a server. */
export interface ToolPlace {
  /** The name of the server. */
  readonly server: string
  /** The name of the tool on its server. */
  readonly tool: string
}

const maxLength = 64

/** How many digits of the fingerprint end a name that had to be changed. */
const suffixLength = 10

const accepted = /^[A-Za-z0-9_-]{1,64}$/

/** The default name: that of the server and that of the tool. */
export const prefixed = ({ server, tool }: ToolPlace): string => `${server}_${tool}`

/**
 * Makes a name that models accept. A name that is fine stays as it is. In any other, characters are replaced and the end is cut off; the
 * fingerprint of the tool's place makes up for what is lost. The name depends on nothing but the place and `wanted`.
 */
export const modelName = (
  { fingerprint, place, wanted }: {
    readonly place: ToolPlace
    readonly wanted: string
    readonly fingerprint: Fingerprint
  }
): Effect.Effect<string> =>
  accepted.test(wanted) ?
    Effect.succeed(wanted) :
    Effect.map(fingerprint([place.server, place.tool, wanted]), (hash) => {
      const kept = wanted.replaceAll(/[^A-Za-z0-9_-]/g, "_").slice(0, maxLength - suffixLength - 1)
      return `${kept}_${hash.slice(0, suffixLength)}`
    })
