/**
 * Requests of the page. The browser sends the cookie; the token goes with each request, and stays in the storage of this origin.
 */
import type { Entered } from "../src/internal/dashboard/views.ts"

const key = "token"

/** The page is not signed in, or not any more. */
export class SignedOut extends Error {}

export const storedToken = (): string | null => localStorage.getItem(key)

const answerOf = async (response: Response): Promise<unknown> => {
  const value: unknown = await response.json()
  if (response.status === 401) throw new SignedOut(messageOf(value))
  if (!response.ok) throw new Error(messageOf(value))
  return value
}

const messageOf = (value: unknown): string => {
  const error = (value as { readonly error?: unknown }).error
  return typeof error === "string" ? error : "the request failed"
}

/** Opens a page session with the secret of a link, or with a bearer token. */
export const enter = async (
  proof: { readonly link: string } | { readonly token: string }
): Promise<void> => {
  const headers: Record<string, string> = "link" in proof
    ? { "x-page-link": proof.link }
    : { authorization: `Bearer ${proof.token}` }
  const { token } = await answerOf(await fetch("/ui/api/enter", { method: "POST", headers })) as Entered
  localStorage.setItem(key, token)
}

/** Asks for an action. */
export const post = async <A>(action: string, body: unknown = {}, signal?: AbortSignal): Promise<A> =>
  await answerOf(
    await fetch(`/ui/api/${action}`, {
      method: "POST",
      headers: { "content-type": "application/json", "x-page-token": storedToken() ?? "" },
      body: JSON.stringify(body),
      ...(signal === undefined ? {} : { signal })
    })
  ) as A

/** Ends the page session. */
export const leave = async (): Promise<void> => {
  await post("leave").catch(() => undefined)
  localStorage.removeItem(key)
}

/** Opens the event stream. The browser opens it again when it breaks. */
export const events = (): EventSource => new EventSource(`/ui/events?token=${encodeURIComponent(storedToken() ?? "")}`)
