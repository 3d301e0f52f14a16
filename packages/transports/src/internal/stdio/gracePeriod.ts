/**
 * Grace period: how long a server may take to end after a step of closing (the end of its input, SIGTERM) before the next step, in
 * milliseconds. Whole seconds: the `sleep` of POSIX takes no fractions.
 */
export const gracePeriod = 1000
