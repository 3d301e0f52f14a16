/**
 * Exit statuses of failures that are reported in two places: by a command, and by the light client of held sessions, which loads no other
 * code. `Failure.ts` has the others.
 */

/** The server cannot be reached, and nothing was sent. */
export const unreachable = 4

/** The tool may have run, and its outcome is unknown. */
export const outcomeUnknown = 12
