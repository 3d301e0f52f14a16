/**
 * Shared by `serve --ui` and `up --ui`: announces the page, and handles sign-ins that start on it.
 */
import * as Effect from "effect/Effect"
import { Output } from "../Output.ts"
import { line } from "../Shown.ts"
import type { InteractiveConsent } from "../SignIn.ts"
import { root } from "./root.ts"

/** Writes the URL that opens the page to stderr, because programs read stdout. */
export const notePage = Effect.gen(function*() {
  const output = yield* Output
  const { json } = yield* root
  return (url: string) => json ? output.noteJson({ page: url }) : output.note(line`page: ${url}`)
})

/** Consent for sign-ins that the user starts on the page. The page and stderr show the address. */
export const consentOfPage = (json: boolean): InteractiveConsent => ({
  browser: false,
  json,
  onAsk: Effect.void,
  isOnRequest: true
})
