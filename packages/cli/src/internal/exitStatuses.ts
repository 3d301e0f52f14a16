/**
 * Exit statuses of the command line, by what failed. The light client of held sessions loads this module too, so it imports nothing.
 */
export const exitStatuses = {
  /** An unexpected error. */
  unexpected: 1,
  /** Invalid flags or arguments, or a server that is unknown or disabled. */
  usage: 2,
  /** A sign-in is needed, or the credentials are wrong. */
  unauthorized: 3,
  /** The server or its authorization server cannot be reached, and nothing was sent. */
  unreachable: 4,
  /** The tool failed or does not exist. */
  toolFailed: 5,
  /** The configuration is invalid. */
  invalidConfiguration: 10,
  /** A request timed out that cannot have run a tool. */
  timeout: 11,
  /** The tool may have run, and its outcome is unknown. */
  outcomeUnknown: 12,
  /** `check` found an unhealthy server. */
  checkFailed: 13,
  /** The server violated the protocol, or answered with an error. */
  protocol: 14
} as const
