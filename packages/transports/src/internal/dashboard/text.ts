/**
 * Texts of servers, cut to a length.
 */

/** Cuts a text, and never within a character of two units. */
export const cut = (text: string, limit: number): string => {
  if (text.length <= limit) return text
  const last = text.charCodeAt(limit - 2)
  return `${text.slice(0, last >= 0xd8_00 && last < 0xdc_00 ? limit - 2 : limit - 1)}…`
}

/** The end of a text. */
export const end = (text: string, limit: number): string => text.length <= limit ? text : `…${text.slice(1 - limit)}`
