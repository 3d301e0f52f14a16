/**
 * Notes what a command finds on the machine.
 */
import type { Host } from "@mcp-sessions/core/Host"
import * as NodeHost from "@mcp-sessions/transports/NodeHost"
import * as Effect from "effect/Effect"
import { type Fact, sha256Of } from "./facts.ts"
import type { Environment } from "./memo.ts"

/** These say where the files and the records of the user are. */
const placeVariables = ["APPDATA", "HOME", "USERPROFILE", "XDG_CONFIG_HOME"]

/** The most that is noted. A command that looks at more is not remembered. */
const factLimit = 2048

export class Findings {
  readonly facts: Array<Fact> = []
  /** The texts of the files by the places of their facts. */
  readonly texts = new Map<number, string>()
  readonly variables = new Set(placeVariables)
  #isRefused = false

  get isWhole(): boolean {
    return !this.#isRefused && this.facts.length <= factLimit
  }

  refuse(): void {
    this.#isRefused = true
  }

  /** Returns a host that notes what it is asked. What it cannot note exactly is refused. */
  observe(host: Host["Service"]): Host["Service"] {
    const note = (fact: Fact) => this.facts.push(fact)
    return {
      ...host,
      get workingDirectory() {
        return host.workingDirectory
      },
      environment: this.#variablesOf(host.environment),
      readFile: (path, limit) =>
        host.readFile(path, limit).pipe(
          Effect.tap((text) =>
            Effect.sync(() => this.texts.set(note({ kind: "file", path, sha256: sha256Of(text) }) - 1, text))
          ),
          Effect.tapError(({ reason }) =>
            Effect.sync(() => reason === "Missing" ? note({ kind: "missing", path }) : this.refuse())
          )
        ),
      exists: (path) =>
        Effect.tap(
          host.exists(path),
          (isThere) => Effect.sync(() => note({ kind: isThere ? "present" : "absent", path }))
        ),
      isTrusted: (content) =>
        Effect.tap(host.isTrusted(content), (isTrusted) =>
          isTrusted
            ? Effect.map(NodeHost.trustRecordOf(content), (path) => note({ kind: "trusted", path }))
            : Effect.sync(() => this.refuse())).pipe(Effect.tapError(() => Effect.sync(() => this.refuse()))),
      trust: (content) => {
        this.refuse()
        return host.trust(content)
      }
    }
  }

  /** Notes the variables that are looked at by name. */
  #variablesOf(environment: Environment): Environment {
    const note = (name: string | symbol) => typeof name === "string" && this.variables.add(name)
    return new Proxy(environment, {
      get: (target, name) => {
        note(name)
        return Reflect.get(target, name)
      },
      has: (target, name) => {
        note(name)
        return Reflect.has(target, name)
      },
      getOwnPropertyDescriptor: (target, name) => {
        note(name)
        return Reflect.getOwnPropertyDescriptor(target, name)
      },
      ownKeys: (target) => {
        this.refuse()
        return Reflect.ownKeys(target)
      }
    })
  }
}
