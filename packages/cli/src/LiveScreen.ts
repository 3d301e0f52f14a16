/**
 * Shows lines in place on a terminal: on its second screen, without a cursor, until the scope closes.
 *
 * **Details**
 *
 * A frame is one write of the lines that changed, between the marks of a synchronized update, which terminals without that mode ignore. The first
 * screen, the cursor and the wrapping of lines come back however the process ends.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { OutputStream } from "./Invocation.ts"
import { OutputClosed } from "./Output.ts"
import type { Shown } from "./Shown.ts"

const enter = "\u001b[?1049h\u001b[?25l\u001b[?7l\u001b[H\u001b[2J"
const leave = "\u001b[?7h\u001b[?25h\u001b[?1049l"
const beginUpdate = "\u001b[?2026h"
const endUpdate = "\u001b[?2026l"

/** A frame as it was drawn, for a terminal of this size. */
interface Frame {
  readonly columns: number
  readonly rows: number
  readonly lines: ReadonlyArray<string>
}

/** The codes that turn one frame into the next. */
const update = (...[before, after]: readonly [before: Frame, after: Frame]): string => {
  const isKept = before.columns === after.columns && before.rows === after.rows
  const known = isKept ? before.lines : []
  const changed = after.lines.flatMap((text, index) =>
    text === known[index] ? [] : [`\u001b[${index + 1};1H${text}\u001b[K`]
  )
  const rest = known.length > after.lines.length ? [`\u001b[${after.lines.length + 1};1H\u001b[J`] : []
  return [...(isKept ? [] : ["\u001b[H\u001b[2J"]), ...changed, ...rest].join("")
}

/**
 * A screen that shows lines in place.
 *
 * @category models
 * @since 0.1.0
 */
export interface LiveScreen {
  /** Shows lines, of which those beyond the height of the terminal are left out. Writes nothing if nothing changed. */
  readonly draw: (lines: ReadonlyArray<Shown>) => Effect.Effect<void, OutputClosed>
}

/**
 * Opens the second screen of a terminal for as long as the scope.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (stream: OutputStream): Effect.Effect<LiveScreen, never, Scope.Scope> => {
  let before: Frame = { columns: 0, rows: 0, lines: [] }
  const draw = (lines: ReadonlyArray<Shown>) =>
    Effect.suspend(() => {
      const [columns, rows] = [stream.columns(), stream.rows()]
      const after: Frame = { columns, rows, lines: lines.slice(0, rows).map(({ text }) => text) }
      const text = update(before, after)
      before = after
      return text === "" ? Effect.void : Effect.flatMap(
        stream.write(`${beginUpdate}${text}${endUpdate}`),
        (code) => code === undefined ? Effect.void : Effect.fail(new OutputClosed({ code }))
      )
    })
  return Effect.as(stream.withModes({ enter, leave }), { draw })
}
