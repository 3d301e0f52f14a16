/**
 * Hops: requests that one node sends to another on behalf of a client. Each is sealed with the key of the fleet, so another program that reaches
 * the port cannot send one, change one, or send one again.
 */
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Crypto from "node:crypto"
import type { SealedIds } from "../gateway/protocol/sealedIds.ts"

/** The headers of a hop. */
export const hopHeaders = { seal: "x-mcp-sessions-hop", ticket: "x-mcp-sessions-ticket" } as const

/** The status by which a node says that it has not handled a hop, because it does not own the bucket under this activation. */
export const notOwner = 421

/** The window of sequence numbers, and the maximum number of remembered nodes. */
const [window, nodeLimit] = [65_536, 4096]

const Content = Schema.fromJsonString(Schema.Struct({
  /** The process that sends it, and its number there. */
  node: Schema.String,
  number: Schema.Int,
  principal: Schema.String,
  activation: Schema.String,
  /** The HTTP method of the request of the client. `ENDED` marks a message of the node itself, which lists ended sessions. */
  method: Schema.Literals(["GET", "POST", "DELETE", "ENDED"]),
  /** Whether the owner may have had the exchange before, of the same node. */
  isRepeated: Schema.Boolean,
  digest: Schema.String
}))

export type Hop = typeof Content["Type"]

const decode = Schema.decodeUnknownOption(Content)

const bound = { principal: "node", route: "hop" }

const digestOf = (ticket: string, body: string): string =>
  Crypto.createHash("sha256").update(ticket).update("\n").update(body).digest("base64url")

/** The hops of one node that have arrived. */
class Arrivals {
  readonly #numbers = new Set<number>()
  #latest = 0

  /** Takes the number of a hop; `false` if it has arrived before, or is too old to know. */
  take(number: number): boolean {
    if (number <= this.#latest - window || this.#numbers.has(number)) return false
    this.#numbers.add(number)
    // A node that sends for long has a large number when it comes here first.
    if (number - this.#latest > window) {
      this.#numbers.clear()
      this.#numbers.add(number)
      this.#latest = number
    }
    for (; this.#latest < number; this.#latest++) this.#numbers.delete(this.#latest - window)
    return true
  }
}

export class Hops {
  readonly #ids: SealedIds
  /** The id of this process. */
  readonly node = Crypto.randomUUID()
  readonly #arrivals = new Map<string, Arrivals>()
  #sent = 0

  constructor(ids: SealedIds) {
    this.#ids = ids
  }

  /** Seals a hop with its ticket and its body. */
  seal(hop: Pick<Hop, "activation" | "isRepeated" | "method" | "principal">, ticket: string, body: string): string {
    const content: Hop = { ...hop, node: this.node, number: ++this.#sent, digest: digestOf(ticket, body) }
    return this.#ids.seal(JSON.stringify(content), bound)
  }

  /** Decrypts a seal; `undefined` if it was not made with the key of the fleet. Its body has not arrived yet. */
  read(seal: string): Hop | undefined {
    return Option.getOrUndefined(decode(this.#ids.open(seal, bound)))
  }

  /** Takes a hop with its ticket and its body; `false` if they are not those of the seal, or if it came before. */
  take(hop: Hop, ticket: string, body: string): boolean {
    return hop.digest === digestOf(ticket, body) && this.#arrivalsOf(hop.node).take(hop.number)
  }

  /** The hops of a node. While there are too many nodes, the one that has sent none for longest is forgotten. */
  #arrivalsOf(node: string): Arrivals {
    const arrivals = this.#arrivals.get(node) ?? new Arrivals()
    this.#arrivals.delete(node)
    const [oldest] = this.#arrivals.keys()
    if (oldest !== undefined && this.#arrivals.size >= nodeLimit) this.#arrivals.delete(oldest)
    this.#arrivals.set(node, arrivals)
    return arrivals
  }
}
