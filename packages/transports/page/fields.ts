/**
 * Fields of a form, from a JSON Schema. A field gives its value as JSON text, so a number goes to the server as it was typed, digit by digit, and
 * a key such as `__proto__` is an ordinary one.
 *
 * Texts, numbers, booleans, choices, lists and objects have fields. Any other value, and one that is nested too deep, is written as JSON.
 */
import { button, element, newId } from "./dom.ts"

/** How deep lists and objects have forms of their own. */
const depthLimit = 4

/** How many fields an object has, how many choices a field, and how many items a list. */
const fieldLimit = 100

const number = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/
const integer = /^-?(?:0|[1-9]\d*)$/

/** A value that is not what the field takes. */
export class Invalid extends Error {
  readonly input: HTMLElement
  constructor(input: HTMLElement, message: string) {
    super(message)
    this.input = input
  }
}

interface Field {
  readonly node: HTMLElement
  /** The value as JSON text; `undefined` leaves it out. */
  readonly read: () => string | undefined
}

type Schema = Readonly<Record<string, unknown>>

interface Place {
  readonly label: string
  readonly schema: Schema
  readonly isRequired: boolean
  readonly depth: number
}

export const isObject = (value: unknown): value is Schema =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** The type of a schema. `null` beside another type only says that the value may be left out. */
const typeOf = ({ type }: Schema): unknown => {
  const types = Array.isArray(type) ? type.filter((one) => one !== "null") : [type]
  return types.length === 1 ? types[0] : undefined
}

const initialText = ({ default: value }: Schema): string =>
  value === undefined ? "" : typeof value === "string" ? value : JSON.stringify(value)

/** The label and the description of a field, and what says why its value is not valid. */
const labelled = ({ isRequired, label, schema }: Place, input: HTMLElement): HTMLElement => {
  const id = newId()
  const { description, title } = schema
  input.id = newId()
  if (isRequired) input.setAttribute("aria-required", "true")
  const node = element(
    "div",
    { class: "field" },
    element(
      "label",
      { for: input.id },
      typeof title === "string" ? `${title} (${label})` : label,
      isRequired ? " *" : ""
    ),
    typeof description === "string" ? element("p", { id, class: "dim" }, description.slice(0, 1000)) : undefined,
    input
  )
  if (typeof description === "string") input.setAttribute("aria-describedby", id)
  return node
}

const textField = (place: Place): Field => {
  const input = element("textarea", { rows: 1, spellcheck: "false" })
  input.value = initialText(place.schema)
  return {
    node: labelled(place, input),
    read: () => input.value === "" && !place.isRequired ? undefined : JSON.stringify(input.value)
  }
}

const numberField = (place: Place, pattern: RegExp, expected: string): Field => {
  const input = element("input", { type: "text", inputmode: "decimal", autocomplete: "off" })
  input.value = initialText(place.schema)
  return {
    node: labelled(place, input),
    read: () => {
      const text = input.value.trim()
      if (text === "" && !place.isRequired) return undefined
      if (!pattern.test(text)) throw new Invalid(input, `${place.label}: ${expected}`)
      return text
    }
  }
}

interface Choice {
  readonly label: string
  readonly json: string
}

const choiceField = (place: Place, choices: ReadonlyArray<Choice>): Field => {
  const none = place.isRequired ? [] : [{ label: "—", json: "" }]
  const options = [...none, ...choices].map(({ json, label }) => element("option", { value: json }, label))
  const input = element("select", {}, ...options)
  if (place.schema["default"] !== undefined) input.value = JSON.stringify(place.schema["default"])
  return { node: labelled(place, input), read: () => input.value === "" ? undefined : input.value }
}

const jsonField = (place: Place): Field => {
  const input = element("textarea", { rows: 3, spellcheck: "false", class: "json" })
  const value = place.schema["default"]
  if (value !== undefined) input.value = JSON.stringify(value, undefined, 2)
  return {
    node: labelled({ ...place, label: `${place.label} as JSON` }, input),
    read: () => {
      if (input.value.trim() === "" && !place.isRequired) return undefined
      try {
        JSON.parse(input.value)
      } catch {
        throw new Invalid(input, `${place.label}: expected JSON`)
      }
      return input.value
    }
  }
}

const listField = (place: Place): Field => {
  const items: Array<{ readonly field: Field; readonly node: HTMLElement }> = []
  const list = element("div", { class: "items" })
  const add = button("Add", () => {
    if (items.length >= fieldLimit) return
    const label = `${place.label} ${items.length + 1}`
    const schema = isObject(place.schema["items"]) ? place.schema["items"] : {}
    const field = fieldOf({ label, schema, isRequired: true, depth: place.depth + 1 })
    const remove = button("Remove", () => {
      items.splice(items.indexOf(item), 1)
      item.node.remove()
      add.focus()
    }, { "aria-label": `Remove ${label}` })
    const item = { field, node: element("div", { class: "item" }, field.node, remove) }
    items.push(item)
    list.append(item.node)
    item.node.querySelector<HTMLElement>("input, select, textarea")?.focus()
  }, { "aria-label": `Add to ${place.label}` })
  return {
    node: group(place, [list, add]),
    read: () =>
      items.length === 0 && !place.isRequired
        ? undefined
        : `[${items.map(({ field }) => field.read() ?? "null").join(",")}]`
  }
}

const objectField = (place: Place): Field => {
  const { read, nodes } = objectOf(place)
  return {
    node: group(place, nodes),
    read: () => {
      const text = read()
      return text === "{}" && !place.isRequired ? undefined : text
    }
  }
}

const group = ({ isRequired, label, schema }: Place, nodes: ReadonlyArray<HTMLElement>): HTMLElement =>
  element(
    "fieldset",
    {},
    element("legend", {}, label, isRequired ? " *" : ""),
    typeof schema["description"] === "string"
      ? element("p", { class: "dim" }, schema["description"].slice(0, 1000))
      : undefined,
    ...nodes
  )

/** The fields of the properties of an object. Without properties, the object is written as JSON. */
export const objectOf = (
  place: Pick<Place, "depth" | "schema">
): { readonly nodes: ReadonlyArray<HTMLElement>; readonly read: () => string } => {
  const { properties, required } = place.schema
  const keys = new Set(Array.isArray(required) ? required : [])
  const fields = Object.entries(isObject(properties) ? properties : {}).slice(0, fieldLimit).map(([key, schema]) => ({
    key,
    field: fieldOf({
      label: key,
      schema: isObject(schema) ? schema : {},
      isRequired: keys.has(key),
      depth: place.depth + 1
    })
  }))
  return {
    nodes: fields.map(({ field }) => field.node),
    read: () => {
      const members = fields.flatMap(({ field, key }) => {
        const text = field.read()
        return text === undefined ? [] : [`${JSON.stringify(key)}:${text}`]
      })
      return `{${members.join(",")}}`
    }
  }
}

/** The choices of a schema; `undefined` if its values are not listed. */
const choicesOf = ({ enum: values, oneOf }: Schema): ReadonlyArray<Choice> | undefined => {
  const isShort = (list: unknown): list is ReadonlyArray<unknown> =>
    Array.isArray(list) && list.length > 0 && list.length <= fieldLimit
  const choice = (value: unknown, title?: unknown): Choice => ({
    label: typeof title === "string" ? title : typeof value === "string" ? value : JSON.stringify(value),
    json: JSON.stringify(value)
  })
  if (isShort(values)) return values.map((value) => choice(value))
  if (isShort(oneOf) && oneOf.every((one) => isObject(one) && "const" in one)) {
    return oneOf.map((one) => choice((one as Schema)["const"], (one as Schema)["title"]))
  }
  return undefined
}

const fieldOf = (place: Place): Field => {
  const { schema } = place
  const choices = choicesOf(schema)
  if (choices !== undefined) return choiceField(place, choices)
  if (place.depth > depthLimit) return jsonField(place)
  switch (typeOf(schema)) {
    case "string":
      return textField(place)
    case "integer":
      return numberField(place, integer, "expected a whole number")
    case "number":
      return numberField(place, number, "expected a number")
    case "boolean":
      return choiceField(place, [{ label: "false", json: "false" }, { label: "true", json: "true" }])
    case "array":
      return listField(place)
    case "object":
      return isObject(schema["properties"]) ? objectField(place) : jsonField(place)
    default:
      return jsonField(place)
  }
}
