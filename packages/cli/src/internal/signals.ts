/**
 * The signals that end this process, and the part of the program that acts on them.
 */
import process from "node:process"

const names = ["SIGINT", "SIGTERM", "SIGHUP"] as const

/** A signal that asks this process to end. */
export type Signal = typeof names[number]

const handlers: Array<(signal: Signal) => void> = []

/** The listeners. A terminal in raw mode emits the event without the name of the signal. */
const listeners = names.map((name) => ({ name, listener: () => handlers.at(-1)?.(name) }))

/** Handles the signals of this process until the returned function is called. A later handler takes the place of an earlier one. */
export const onSignal = (handler: (signal: Signal) => void): () => void => {
  if (handlers.length === 0) { for (const { listener, name } of listeners) process.on(name, listener) }
  handlers.push(handler)
  return () => {
    const index = handlers.indexOf(handler)
    if (index === -1) return
    handlers.splice(index, 1)
    if (handlers.length === 0) { for (const { listener, name } of listeners) process.off(name, listener) }
  }
}
