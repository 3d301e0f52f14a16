/**
 * Shows sign-ins: whether tokens are stored for a server, who issued them, and how long they last.
 *
 * @since 0.1.0
 */
import type { SignInState } from "@mcp-sessions/core/Authorization"
import { line, name, type Shown } from "./Shown.ts"

/**
 * The sign-in to one server. `expiresAt` is in milliseconds since the epoch.
 *
 * - `signed_in`: there is a token, or one can be had without the user.
 * - `expired`: there is a token that has ended, and it cannot be renewed.
 * - `signed_out`: there is no token. The server may need none.
 * - `not_needed`: the definition leaves no room for a sign-in.
 *
 * @category models
 * @since 0.1.0
 */
export interface Row {
  readonly name: string
  readonly state: "signed_in" | "expired" | "signed_out" | "not_needed"
  readonly issuer: string | null
  readonly scope: string | null
  readonly expiresAt: number | null
  readonly isRenewable: boolean
}

/**
 * Makes the row of a server.
 *
 * @category constructors
 * @since 0.1.0
 */
export const rowOf = (options: {
  readonly name: string
  readonly signIn: SignInState
  readonly isPossible: boolean
  readonly now: number
}): Row => {
  const { isPossible, name, now, signIn } = options
  if (signIn._tag !== "SignedIn") {
    const state = isPossible ? "signed_out" : "not_needed"
    return { name, state, issuer: null, scope: null, expiresAt: null, isRenewable: false }
  }
  const { expiresAt, isRenewable, issuer, scope } = signIn
  const hasExpired = expiresAt !== undefined && expiresAt <= now
  return {
    name,
    state: hasExpired && !isRenewable ? "expired" : "signed_in",
    issuer,
    scope: scope ?? null,
    expiresAt: expiresAt ?? null,
    isRenewable
  }
}

const units: ReadonlyArray<readonly [name: string, millis: number]> = [
  ["day", 86_400_000],
  ["hour", 3_600_000],
  ["minute", 60_000],
  ["second", 1000]
]

/** Formats a time span in its largest unit, rounded down. */
const span = (millis: number): string => {
  const [unit, size] = units.find(([, size]) => millis >= size) ?? ["second", 1000]
  const count = Math.floor(millis / size)
  return `${count} ${unit}${count === 1 ? "" : "s"}`
}

/** Says how long the token of a row lasts. */
const expiry = (...[{ expiresAt, isRenewable }, now]: readonly [row: Row, now: number]): string => {
  const renewal = isRenewable ? ", renewable" : ""
  if (expiresAt === null) return `no known expiry${renewal}`
  return `${expiresAt > now ? `expires in ${span(expiresAt - now)}` : "expired"}${renewal}`
}

const states = {
  signed_in: "signed in",
  expired: "signed out",
  signed_out: "signed out",
  not_needed: "no sign-in"
} as const

/**
 * Formats a row as cells: name, state, issuer, scope and expiry.
 *
 * @category rendering
 * @since 0.1.0
 */
export const cells = (...[row, now]: readonly [row: Row, now: number]): ReadonlyArray<Shown> => [
  name(row.name),
  name(states[row.state]),
  name(row.issuer ?? ""),
  name(row.scope ?? ""),
  name(row.issuer === null ? "" : expiry(row, now))
]

/**
 * Formats a row on one line, for a sign-in that has just ended.
 *
 * @category rendering
 * @since 0.1.0
 */
export const sentence = (...[row, now]: readonly [row: Row, now: number]): Shown => {
  if (row.issuer === null) return line`${row.name}: ${states[row.state]}`
  const scope = row.scope === null || row.scope === "" ? "" : `; scope: ${row.scope}`
  return line`signed in to ${row.name} at ${row.issuer}${scope}; ${expiry(row, now)}`
}
