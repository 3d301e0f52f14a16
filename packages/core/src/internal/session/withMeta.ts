/**
 * The `_meta` that a caller adds to a request.
 */

/** Adds a `_meta` to params, if there is one. */
export const withMeta = (
  params: Record<string, unknown>,
  meta: Readonly<Record<string, unknown>> | undefined
): Record<string, unknown> => meta === undefined ? params : { ...params, _meta: meta }
