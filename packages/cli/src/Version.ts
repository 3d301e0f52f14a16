/**
 * Version of the command line.
 *
 * @since 0.1.0
 */

/**
 * Version of all packages of this repository. They are released together.
 *
 * @category constants
 * @since 0.1.0
 */
export const version = "0.1.0"
