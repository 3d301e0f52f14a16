/**
 * Questions of tests to a page. Each function runs within the page, so it uses nothing beside itself and the page.
 */

/** The texts whose contrast to their background is below 4.5. */
export const faint = (): ReadonlyArray<string> => {
  const numbers = (colour: string): ReadonlyArray<number> => colour.match(/[\d.]+/g)?.map(Number) ?? []
  const luminance = (colour: string): number => {
    const [red = 0, green = 0, blue = 0] = numbers(colour).map((value) => {
      const part = value / 255
      return part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4
    })
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
  }
  const backOf = (node: Element | null): string => {
    if (node === null) return "rgb(255, 255, 255)"
    const { backgroundColor } = getComputedStyle(node)
    return numbers(backgroundColor)[3] === 0 ? backOf(node.parentElement) : backgroundColor
  }
  const isShown = (node: Element): node is HTMLElement =>
    node instanceof HTMLElement && node.offsetParent !== null && !node.matches(":disabled, option, .unseen")
  const hasText = ({ childNodes }: Element): boolean =>
    Array.from(childNodes).some((child) => child instanceof Text && child.data.trim() !== "")
  return Array.from(document.querySelectorAll("body *")).filter(isShown).filter(hasText).flatMap((node) => {
    const pair = [luminance(getComputedStyle(node).color), luminance(backOf(node))]
    const contrast = (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05)
    return contrast >= 4.5 ? [] : [`${contrast.toFixed(2)} ${node.tagName} ${node.textContent}`]
  })
}

/** Whether the page is wider than its window. */
export const overflows = (): boolean => document.documentElement.scrollWidth > document.documentElement.clientWidth

/** The name of what has the focus, as it is read out. */
export const focused = (): string => {
  const { activeElement: on } = document
  const labels = on instanceof HTMLInputElement || on instanceof HTMLSelectElement || on instanceof HTMLTextAreaElement
    ? Array.from(on.labels ?? [], ({ textContent }) => textContent)
    : []
  return (on?.getAttribute("aria-label") ?? labels[0] ?? on?.textContent ?? "").trim()
}

/** The width of the outline of what has the focus, in pixels; 0 without one. */
export const outline = (): number => {
  const { outlineStyle, outlineWidth } = getComputedStyle(document.activeElement ?? document.body)
  return outlineStyle === "solid" ? Number.parseFloat(outlineWidth) : 0
}

/** The traces that markup in texts would leave. */
export const foreign = (): {
  readonly hasRun: boolean
  readonly elements: number
  readonly images: ReadonlyArray<string>
} => ({
  hasRun: "pwned" in globalThis,
  elements: document.querySelectorAll("body script, [onerror], a[href^=javascript]").length,
  images: Array.from(document.images, ({ src }) => src.slice(0, 15))
})

/** Whether the browser sends a request with headers to another origin. */
export const sendsHeaders = (
  { names, url }: { readonly url: string; readonly names: ReadonlyArray<string> }
): Promise<boolean> =>
  new Promise((resolve) => {
    const request = new XMLHttpRequest()
    request.open("POST", url)
    for (const name of ["content-type", ...names]) request.setRequestHeader(name, "application/json")
    request.addEventListener("load", () => resolve(true))
    request.addEventListener("error", () => resolve(false))
    request.send("{}")
  })
