/**
 * Asks before something is done.
 */
import { button, element, newId } from "./dom.ts"

export const confirm = (question: string, label: string): Promise<boolean> =>
  new Promise((resolve) => {
    const id = newId()
    const dialog = element(
      "dialog",
      { "aria-labelledby": id },
      element("p", { id }, question),
      element(
        "div",
        { class: "actions" },
        button(label, () => dialog.close("yes")),
        button("Cancel", () => dialog.close(""), { autofocus: true })
      )
    )
    dialog.addEventListener("close", () => {
      dialog.remove()
      resolve(dialog.returnValue === "yes")
    })
    document.body.append(dialog)
    dialog.showModal()
  })
