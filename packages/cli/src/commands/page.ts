/**
 * Shared by `serve --ui` and `up --ui`: announces the page, and lets it ask for sign-ins.
 */
import * as Effect from "effect/Effect"
import { Output } from "../Output.ts"
import { line } from "../Shown.ts"
import type { InteractiveConsent } from "../SignIn.ts"
import { root } from "./root.ts"

/** Writes the URL that opens the page to stderr: that of stdout is for clients, and for programs. */
export const notePage = Effect.gen(function*() {
  const output = yield* Output
  const { json } = yield* root
  return (url: string) => json ? output.noteJson({ page: url }) : output.note(line`page: ${url}`)
})

/** Sign-ins that the user starts on the page. The page shows the address, and so does stderr. */
export const consentOfPage = (json: boolean): InteractiveConsent => ({
  browser: false,
  json,
  onAsk: Effect.void,
  isOnRequest: true
})
