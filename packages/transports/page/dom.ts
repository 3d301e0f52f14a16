/**
 * Elements. Texts become text nodes only, so nothing in them is markup.
 */

type Child = Node | string | undefined

interface Attributes {
  readonly [name: string]: string | number | boolean | undefined
}

/** Makes an element. `false` and `undefined` leave an attribute out. */
export const element = <K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: ReadonlyArray<Child>
): HTMLElementTagNameMap[K] => {
  const made = document.createElement(tag)
  assign(made, attributes)
  made.append(...children.filter((child) => child !== undefined))
  return made
}

/** Makes an element of SVG. */
export const svg = (tag: string, attributes: Attributes): SVGElement => {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag)
  assign(made, attributes)
  return made
}

const assign = (to: Element, attributes: Attributes): void => {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) to.setAttribute(name, value === true ? "" : String(value))
  }
}

/** Finds an element of the page. */
export const find = <E extends HTMLElement>(id: string): E => {
  const found = document.getElementById(id)
  if (found === null) throw new Error(`the page has no ${id}`)
  return found as E
}

/** Shows a text, and leaves the node alone if it shows that text already. */
export const setText = (node: Element, text: string): void => {
  if (node.textContent !== text) node.textContent = text
}

/** Makes a button. */
export const button = (label: string, onClick: () => void, attributes: Attributes = {}): HTMLButtonElement => {
  const made = element("button", { type: "button", ...attributes }, label)
  made.addEventListener("click", onClick)
  return made
}

/** Says something to those who do not see the page. */
export const announce = (text: string): void => setText(find("announcer"), text)

let lastId = 0

/** Makes an id that no other element has. */
export const newId = (): string => `e${++lastId}`

/**
 * Makes a table. Cells carry the label of their column, for narrow screens, where a row is a block. Blocks lose the roles of tables, so these are
 * written out.
 */
export const table = (name: string, labels: ReadonlyArray<string>) => {
  const body = element("tbody", { role: "rowgroup" })
  const heads = labels.map((label) => element("th", { scope: "col", role: "columnheader" }, label))
  const made = element(
    "table",
    { role: "table", "aria-label": name },
    element("thead", { role: "rowgroup" }, element("tr", { role: "row" }, ...heads)),
    body
  )
  const row = (cells: ReadonlyArray<Child>): HTMLTableRowElement =>
    element(
      "tr",
      { role: "row" },
      ...cells.map((cell, index) =>
        index === 0
          ? element("th", { scope: "row", role: "rowheader", "data-label": labels[0] }, cell)
          : element("td", { role: "cell", "data-label": labels[index] }, cell)
      )
    )
  return { table: made, body, row }
}
