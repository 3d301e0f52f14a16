/**
 * Draws commands and what they print as the picture of a terminal. The lines appear one after another, once; where nothing moves, all are there
 * from the start.
 */
import type { Run } from "../test/cli/pseudoTerminal.ts"

export interface Scene {
  readonly command: string
  readonly output: ReadonlyArray<ReadonlyArray<Run>>
}

const [fontSize, columnWidth, lineHeight, padding] = [14, 8.4, 20, 20]

/** The colours of the palette that the command line uses, for a light and a dark page. */
const palette: Readonly<Record<number, readonly [name: string, light: string, dark: string]>> = {
  1: ["red", "#cf222e", "#ff7b72"],
  2: ["green", "#1a7f37", "#3fb950"],
  3: ["yellow", "#9a6700", "#d29922"],
  4: ["blue", "#0969da", "#79c0ff"],
  5: ["magenta", "#8250df", "#d2a8ff"],
  6: ["cyan", "#1b7c83", "#56d4dd"]
}

const page = {
  paper: ["#ffffff", "#0d1117"],
  frame: ["#d0d7de", "#30363d"],
  ink: ["#1f2328", "#e6edf3"],
  dim: ["#656d76", "#8b949e"]
} as const

const variables = (theme: 0 | 1): string =>
  [
    ...Object.entries(page).map(([name, colours]) => `--${name}: ${colours[theme]}`),
    ...Object.values(palette).map(([name, ...colours]) => `--${name}: ${colours[theme]}`)
  ].join("; ")

const style = `
    svg { ${variables(0)} }
    @media (prefers-color-scheme: dark) { svg { ${variables(1)} } }
    rect { fill: var(--paper); stroke: var(--frame) }
    text { fill: var(--ink); font: ${fontSize}px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace }
    .bold { font-weight: 600 }
    .dim { fill: var(--dim) }
${Object.values(palette).map(([name]) => `    .${name} { fill: var(--${name}) }`).join("\n")}
    g { animation: appear 1ms backwards }
    @keyframes appear { from { opacity: 0 } }
    @media (prefers-reduced-motion: reduce) { g { animation: none } }
  `

const escape = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll("\"", "&quot;")

const figure = (value: number): string => String(Math.round(value * 10) / 10)

const classOf = ({ colour, isBold, isDim }: Run["look"]): string => {
  const [hue] = colour === undefined ? [] : palette[colour] ?? []
  return [isBold ? "bold" : "", isDim ? "dim" : "", hue ?? ""].filter((name) => name !== "").join(" ")
}

/** Draws a line. Words keep the width of their columns, whatever the font; wide spaces are left out. */
const drawLine = ({ runs, y }: { readonly runs: ReadonlyArray<Run>; readonly y: number }): ReadonlyArray<string> => {
  let column = 0
  return runs.flatMap(({ look, text }) => {
    const start = column
    column += text.length
    const classes = classOf(look)
    return Array.from(text.matchAll(/\S+(?: \S+)*/g), ({ 0: shown, index }) => {
      const x = figure(padding + (start + index) * columnWidth)
      const length = figure(shown.length * columnWidth)
      const look = classes === "" ? "" : ` class="${classes}"`
      return `<text x="${x}" y="${y}" textLength="${length}"${look}>${escape(shown)}</text>`
    })
  })
}

/** Times of the picture in seconds: between the words of a command, before its output, and before the next command. */
const pause = { word: 0.12, output: 0.5, command: 1.6 }

const plain: Run["look"] = { isBold: false, isDim: false, colour: undefined }

/** Draws the words of a command, each on its own, with the prompts of a shell. */
const drawCommand = ({ command, y }: { readonly command: string; readonly y: number }): ReadonlyArray<string> =>
  command.split("\n").flatMap((text, row) => {
    const words = Array.from(text.matchAll(/\S+/g), ({ 0: word, index }): ReadonlyArray<Run> => [
      { text: " ".repeat(index + 2), look: plain },
      { text: word, look: { ...plain, isBold: true } }
    ])
    const prompt: Run = { text: row === 0 ? "$" : ">", look: { ...plain, colour: 4 } }
    return [[prompt], ...words].flatMap((runs) => drawLine({ runs, y: y + row * lineHeight }))
  })

/** Draws scenes one below another, for a terminal of so many columns. */
export const draw = ({ columns, scenes }: {
  readonly columns: number
  readonly scenes: ReadonlyArray<Scene>
}): string => {
  const groups: Array<string> = []
  let [y, time] = [padding + fontSize, 0]
  const group = (lines: ReadonlyArray<string>) => {
    if (lines.length === 0) return
    groups.push(`<g style="animation-delay: ${time.toFixed(2)}s">\n    ${lines.join("\n    ")}\n  </g>`)
  }
  for (const { command, output } of scenes) {
    for (const word of drawCommand({ command, y })) {
      group([word])
      time += pause.word
    }
    y += command.split("\n").length * lineHeight
    time += pause.output
    group(output.flatMap((runs, index) => drawLine({ runs, y: y + index * lineHeight })))
    y += (output.length + 1) * lineHeight
    time += pause.command
  }
  const width = Math.round(columns * columnWidth + 2 * padding)
  const height = y - 2 * lineHeight + padding
  const label = escape(`A terminal that runs ${scenes.map(({ command }) => command).join(", then ")}`)
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" aria-label="${label}">
  <style>${style}</style>
  <rect x="0.5" y="0.5" width="${width - 1}" height="${height - 1}" rx="8" />
  ${groups.join("\n  ")}
</svg>
`
}
