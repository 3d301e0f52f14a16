/**
 * Tables of the programs whose configuration files are read (`packages/core/src/internal/configFile/clients.ts`), for pages.
 */
import type { Host } from "../packages/core/src/Host.ts"
import { clientNames } from "../packages/core/src/internal/configFile/client.ts"
import { clients } from "../packages/core/src/internal/configFile/clients.ts"
import { table } from "./markdown.ts"

/** The parts of a machine by which the places of files are chosen. Records the variables that are read. */
const machineOf = (platform: string) => {
  const read = new Set<string>()
  const variables: Readonly<Record<string, string>> = platform === "win32" ? { APPDATA: "%APPDATA%" } : {}
  const environment = new Proxy(variables, {
    get: (target, name) => {
      read.add(String(name))
      return Reflect.get(target, name)
    }
  })
  const host = {
    environment,
    workingDirectory: ".",
    homeDirectory: "~",
    platform,
    resolve: (base: string, path: string) => `${base}/${path}`
  } as Host["Service"]
  return { host, read }
}

const code = (texts: ReadonlyArray<string>): string => texts.map((text) => `\`${text}\``).join(", ")

const platforms = [["Linux", "linux"], ["macOS", "darwin"], ["Windows", "win32"]] as const

/** The files of the user, by platform where they differ. */
const userFiles = (client: (typeof clients)[keyof typeof clients]): string => {
  const files = platforms.map(([title, platform]) => [title, code(client.userFiles(machineOf(platform).host))] as const)
  const titles = new Map<string, ReadonlyArray<string>>()
  for (const [title, text] of files) titles.set(text, [...titles.get(text) ?? [], title])
  return titles.size === 1
    ? files[0]?.[1] ?? ""
    : Array.from(titles, ([text, titles]) => `${titles.join(" and ")}: ${text}`).join("; ")
}

/** The variables that move the files of a program. */
const variables = (client: (typeof clients)[keyof typeof clients]): string => {
  const { host, read } = machineOf("linux")
  client.userFiles(host)
  return code([...read])
}

/** The table of the programs and their files. */
export const clientTable: string = table(
  ["name", "program", "files of a project", "files of the user", "variables that move the files of the user"],
  clientNames.map((name) => {
    const client = clients[name]
    return [`\`${name}\``, client.title, code(client.projectFiles), userFiles(client), variables(client)]
  })
)
