/**
 * Listens for clients at an address that only this user can reach, and leaves nothing behind.
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Fs from "node:fs"
import * as Net from "node:net"
import * as Path from "node:path"
import process from "node:process"
import * as Address from "./address.ts"

/** Failure to listen: another holder has the place, or there is no safe directory for a socket. */
export class ListenFailed extends Data.TaggedError("ListenFailed")<{
  readonly kind: "Taken" | "NoDirectory"
  readonly description: string
}> {}

const isWindows = process.platform === "win32"

const codeOf = (error: unknown): string =>
  error instanceof Error && "code" in error ? String(error.code) : "unknown error"

/** Makes a directory for sockets if it is missing. Returns why it cannot be used. */
const refusalOf = (directory: string): string | undefined => {
  try {
    Fs.mkdirSync(directory, { recursive: true, mode: 0o700 })
    const unsafety = Address.unsafetyOf(directory)
    return unsafety === undefined ? undefined : `${directory} ${unsafety}`
  } catch (error) {
    return `${directory} cannot be used (${codeOf(error)})`
  }
}

/** Returns the first safe directory in which sockets can have names of this length. */
const findDirectory = (environment: Readonly<Record<string, string | undefined>>) =>
  Effect.suspend(() => {
    const refusals: Array<string> = []
    for (const directory of Address.socketDirectories(environment)) {
      const refusal = Address.isShortEnough(Address.projectFile(directory, "/"))
        ? refusalOf(directory)
        : `the path of a socket in ${directory} would be too long`
      if (refusal === undefined) return Effect.succeed(directory)
      refusals.push(refusal)
    }
    return Effect.fail(
      new ListenFailed({ kind: "NoDirectory", description: `no directory for a socket: ${refusals.join("; ")}` })
    )
  })

/** Whether a process listens at an address. */
const isAlive = (path: string): Effect.Effect<boolean> =>
  Effect.callback((resume) => {
    const socket = Net.connect(path)
    socket.once("connect", () => resume(Effect.succeed(true)))
    // Too many waiting clients are a sign of a process, too.
    socket.once("error", (error) => resume(Effect.succeed(codeOf(error) === "EAGAIN")))
    return Effect.sync(() => socket.destroy())
  })

const inodeOf = (file: string): number | undefined => {
  try {
    return Fs.lstatSync(file).ino
  } catch {
    // The file is gone.
    return undefined
  }
}

const remove = (file: string): void => Fs.rmSync(file, { force: true })

/** Listens at a path. Fails with the code of the system. */
const bind = (server: Net.Server, path: string): Effect.Effect<void, string> =>
  Effect.callback((resume) => {
    const onError = (error: Error) => resume(Effect.fail(codeOf(error)))
    server.once("error", onError)
    server.listen(path, () => {
      server.off("error", onError)
      // Nobody else gets through the directory, even before this.
      if (!isWindows) Fs.chmodSync(path, 0o600)
      resume(Effect.void)
    })
  })

/** How often a socket that a killed holder left behind is replaced before the place counts as taken. */
const attempts = 3

/** Listens in place of a holder that was killed, and never in place of one that runs. */
const claim = (server: Net.Server, address: Address.Address, file: string): Effect.Effect<void, ListenFailed> =>
  Effect.gen(function*() {
    for (let attempt = 0; attempt < attempts; attempt++) {
      const before = inodeOf(file)
      if (before !== undefined) {
        const current = isWindows ? Address.read(file) : address
        if (current !== undefined && (yield* isAlive(current.path))) break
        // Another holder may have taken the place meanwhile.
        if (inodeOf(file) === before) remove(file)
      }
      const outcome = yield* Effect.result(bind(server, address.path))
      if (outcome._tag === "Success") {
        if (isWindows) Fs.writeFileSync(file, Address.format(address), { mode: 0o600, flag: "wx" })
        return
      }
      if (outcome.failure !== "EADDRINUSE") {
        const description = `cannot listen at ${file} (${outcome.failure})`
        return yield* new ListenFailed({ kind: "NoDirectory", description })
      }
    }
    return yield* new ListenFailed({ kind: "Taken", description: `another process listens at ${file}` })
  })

const prefix = "with-"

/** Whether a process with this id runs, as far as this process can tell. */
const runs = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return codeOf(error) === "EPERM"
  }
}

/** Removes the sockets of killed `with` commands. One that was just made, and is about to listen, has a process. */
const sweep = Effect.fnUntraced(function*(directory: string) {
  const names = Fs.readdirSync(directory).filter((name) =>
    name.startsWith(prefix) && !runs(Number(name.slice(prefix.length).split("-", 1)[0]))
  )
  yield* Effect.forEach(names, (name) => {
    const file = Path.join(directory, name)
    // The process may have another id here, as in a container.
    return Effect.map(isAlive(file), (alive) => alive ? undefined : remove(file))
  }, { concurrency: 8, discard: true })
})

/**
 * Listens for as long as the scope: at the place of a project, where clients find it, or at an address of its own. `onClient` runs for each
 * client. The end of the scope cuts all clients off.
 */
export const listen = Effect.fnUntraced(function*(options: {
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly project: string | undefined
  readonly onClient: (socket: Net.Socket) => void
}): Effect.fn.Return<Address.Address, ListenFailed, Scope.Scope> {
  const { environment, onClient, project } = options
  const directory = yield* findDirectory(environment)
  if (!isWindows) yield* sweep(directory)
  const file = project === undefined
    ? Path.join(directory, `${prefix}${process.pid}-${Address.randomName()}.sock`)
    : Address.projectFile(directory, project)
  const address = Address.make(file)
  const clients = new Set<Net.Socket>()
  const server = Net.createServer((socket) => {
    clients.add(socket)
    socket.once("close", () => clients.delete(socket))
    onClient(socket)
  })
  yield* Effect.acquireRelease(
    claim(server, address, file),
    () =>
      Effect.sync(() => {
        // This removes a socket of POSIX systems.
        server.close()
        if (isWindows) remove(file)
        for (const client of clients) client.destroy()
      })
  )
  return address
})
