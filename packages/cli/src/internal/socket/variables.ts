/**
 * Environment variables that holders and their clients share.
 */

/** Gives the address of the holder to a command that `with` runs. */
export const addressVariable = "MCP_SESSIONS_SOCK"

/** These select configuration and tokens. A holder serves only clients for which they are the same. */
export const selectionVariables: ReadonlyArray<string> = ["MCP_SESSIONS_CONFIG", "MCP_SESSIONS_TOKENS"]

/** These name the terminal of a client. */
export const displayVariables: ReadonlyArray<string> = [
  "COLORTERM",
  "ITERM_SESSION_ID",
  "KITTY_WINDOW_ID",
  "LC_TERMINAL",
  "NO_COLOR",
  "TERM",
  "TERM_PROGRAM"
]
