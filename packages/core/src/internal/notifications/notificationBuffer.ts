/**
 * Notification buffer: the notifications that one listener has not taken yet, up to a bound.
 *
 * **Details**
 *
 * What says again what waits already is merged with it: one change of a list or of a resource is as good a reason to read it as many. When
 * the buffer is full, the oldest notification is dropped and counted. The listener then takes `Listening` with that number in its place:
 * changes before it may have been missed, as after a reconnect. A `Listening` itself is never lost.
 */
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import type { Listening, Notification } from "../../Notification.ts"

/** What a notification is merged by, if it is. */
const keyOf = (notification: Notification): string | undefined => {
  switch (notification._tag) {
    case "ToolsChanged":
    case "ResourcesChanged":
    case "PromptsChanged":
      return notification._tag
    case "ResourceUpdated":
      return `${notification._tag} ${notification.uri}`
    default:
      return undefined
  }
}

export class NotificationBuffer {
  /** A ring of at most `capacity` notifications, from `#head` on. */
  readonly #ring: Array<Notification | undefined> = []
  readonly #capacity: number
  readonly #onDrop: () => void
  readonly #offered: Queue.Queue<void>
  readonly #keys = new Set<string>()
  #head = 0
  #size = 0
  /** What was dropped since the last notification was taken; `undefined` if nothing was. */
  #dropped: number | undefined
  /** The generation of the last `Listening` that was taken or dropped. */
  #generation = 0

  constructor(options: {
    readonly capacity: number
    readonly offered: Queue.Queue<void>
    readonly onDrop: () => void
  }) {
    this.#capacity = options.capacity
    this.#offered = options.offered
    this.#onDrop = options.onDrop
  }

  /** How many notifications wait. */
  get size(): number {
    return this.#size
  }

  /** Makes the first element of a listener. */
  first(generation: number): Listening {
    this.#generation = generation
    return { _tag: "Listening", generation }
  }

  /** Adds a notification, in place of the oldest if the buffer is full. */
  offer(notification: Notification): void {
    const key = keyOf(notification)
    if (key !== undefined) {
      if (this.#keys.has(key)) return
      this.#keys.add(key)
    }
    if (this.#size === this.#capacity) this.#drop()
    this.#ring[(this.#head + this.#size) % this.#capacity] = notification
    this.#size++
    Queue.offerUnsafe(this.#offered, undefined)
  }

  /** Takes the oldest notification, once there is one. */
  get take(): Effect.Effect<Notification> {
    return Effect.suspend(() => {
      const next = this.#next()
      return next === undefined ? this.#wait : Effect.succeed(next)
    })
  }

  get #wait(): Effect.Effect<Notification> {
    return Effect.flatMap(Queue.take(this.#offered), () => this.take)
  }

  /** Takes all notifications, once there are any. */
  get takeAll(): Effect.Effect<readonly [Notification, ...Array<Notification>]> {
    return Effect.map(this.take, (first) => {
      const all: [Notification, ...Array<Notification>] = [first]
      for (let next = this.#next(); next !== undefined; next = this.#next()) all.push(next)
      return all
    })
  }

  #next(): Notification | undefined {
    const dropped = this.#dropped
    this.#dropped = undefined
    if (dropped === undefined) return this.#shift()
    return { _tag: "Listening", generation: this.#generation, ...(dropped === 0 ? {} : { dropped }) }
  }

  #drop(): void {
    const oldest = this.#shift()
    if (oldest === undefined) return
    this.#dropped ??= 0
    if (oldest._tag === "Listening") {
      this.#dropped += oldest.dropped ?? 0
      return
    }
    this.#dropped++
    this.#onDrop()
  }

  #shift(): Notification | undefined {
    if (this.#size === 0) return undefined
    const oldest = this.#ring[this.#head]
    this.#ring[this.#head] = undefined
    this.#head = (this.#head + 1) % this.#capacity
    this.#size--
    if (oldest?._tag === "Listening") this.#generation = oldest.generation
    const key = oldest === undefined ? undefined : keyOf(oldest)
    if (key !== undefined) this.#keys.delete(key)
    return oldest
  }
}
