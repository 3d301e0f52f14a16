/**
 * Reads the date of a cookie, of which servers write many spellings.
 *
 * @see https://www.rfc-editor.org/rfc/rfc6265#section-5.1.1
 */

const months = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]

/** The separators of the parts of a date. */
const delimiters = /[\t\x20-\x2f\x3b-\x40\x5b-\x60\x7b-\x7e]+/

const timePattern = /^(\d{1,2}):(\d{1,2}):(\d{1,2})(?:\D|$)/
const dayPattern = /^(\d{1,2})(?:\D|$)/
const yearPattern = /^(\d{2,4})(?:\D|$)/

interface Parts {
  time?: ReadonlyArray<number>
  day?: number
  month?: number
  year?: number
}

/** Takes each part for the first that it can be and that is not known yet. */
const partsOf = (text: string): Parts => {
  const parts: Parts = {}
  for (const token of text.split(delimiters)) {
    const month = months.indexOf(token.slice(0, 3).toLowerCase())
    const time = parts.time === undefined ? timePattern.exec(token) : null
    const day = parts.day === undefined ? dayPattern.exec(token) : null
    const year = parts.year === undefined ? yearPattern.exec(token) : null
    if (time !== null) parts.time = time.slice(1, 4).map(Number)
    else if (day !== null) parts.day = Number(day[1])
    else if (parts.month === undefined && month >= 0) parts.month = month
    else if (year !== null) parts.year = Number(year[1])
  }
  return parts
}

const millisOfDay = 86_400_000

const fullYear = (year: number): number => year >= 70 && year <= 99 ? 1900 + year : year <= 69 ? 2000 + year : year

/** Returns the time of a date, in milliseconds since the epoch; `undefined`: the text is no date. */
export const parseCookieDate = (text: string): number | undefined => {
  const { day, month, time: [hour = 99, minute = 99, second = 99] = [], year } = partsOf(text)
  if (day === undefined || month === undefined || year === undefined) return undefined
  const whole = fullYear(year)
  if (day < 1 || day > 31 || whole < 1601 || hour > 23 || minute > 59 || second > 59) return undefined
  const daysOfMonth = (Date.UTC(whole, month + 1) - Date.UTC(whole, month)) / millisOfDay
  return day > daysOfMonth ? undefined : Date.UTC(whole, month, day, hour, minute, second)
}
