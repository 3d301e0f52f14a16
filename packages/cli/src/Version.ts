/**
 * The version that the command line reports.
 *
 * @since 0.1.0
 */

/**
 * The version of all packages of this repository, which are released together.
 *
 * @category constants
 * @since 0.1.0
 */
export const version = "0.1.0"
