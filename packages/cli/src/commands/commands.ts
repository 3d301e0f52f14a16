/**
 * The commands by name. A run loads only those that its words name.
 */
import * as Effect from "effect/Effect"

const loaders = {
  servers: () => import("./servers.ts").then(({ servers }) => servers),
  check: () => import("./check.ts").then(({ check }) => check),
  tools: () => import("./tools.ts").then(({ tools }) => tools),
  call: () => import("./call.ts").then(({ call }) => call),
  "emit-ts": () => import("./emitTs.ts").then(({ emitTs }) => emitTs),
  resources: () => import("./resources.ts").then(({ resources }) => resources),
  read: () => import("./read.ts").then(({ read }) => read),
  prompts: () => import("./prompts.ts").then(({ prompts }) => prompts),
  prompt: () => import("./prompt.ts").then(({ prompt }) => prompt),
  complete: () => import("./complete.ts").then(({ complete }) => complete),
  watch: () => import("./watch.ts").then(({ watch }) => watch),
  logs: () => import("./logs.ts").then(({ logs }) => logs),
  record: () => import("./recording.ts").then(({ record }) => record),
  replay: () => import("./recording.ts").then(({ replay }) => replay),
  with: () => import("./with.ts").then(({ withCommand }) => withCommand),
  up: () => import("./up.ts").then(({ up }) => up),
  serve: () => import("./serve.ts").then(({ serve }) => serve),
  status: () => import("./status.ts").then(({ status }) => status),
  restart: () => import("./restart.ts").then(({ restart }) => restart),
  down: () => import("./down.ts").then(({ down }) => down),
  shell: () => import("./shell.ts").then(({ shell }) => shell),
  completions: () => import("./completions.ts").then(({ completions }) => completions),
  config: () => import("./config.ts").then(({ config }) => config),
  auth: () => import("./auth.ts").then(({ auth }) => auth)
} as const

type Name = keyof typeof loaders

const isName = (word: string): word is Name => Object.hasOwn(loaders, word)

/** Loads the commands that the words may name: all, unless the first word that is not a flag names one. */
export const commandsOf = (words: ReadonlyArray<string>) =>
  Effect.promise(() => {
    const first = words.find((word) => !word.startsWith("-"))
    const names = first !== undefined && isName(first) ? words.filter(isName) : Object.keys(loaders).filter(isName)
    return Promise.all([...new Set(names)].map((name) => loaders[name]()))
  })
