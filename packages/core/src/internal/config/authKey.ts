/**
 * The key of remote definitions that says how an owner is authorized.
 */
import type * as JsonSchema from "effect/JsonSchema"
import * as Schema from "effect/Schema"
import { optional } from "./describedKey.ts"
import { boolean, expecting, nonEmptyText, oneOf, secret, url, wholeNumber } from "./values.ts"

const httpsUrl = url({ scheme: "https", expected: "an https:// URL without user name and password" })

const issuer = url({ scheme: "https?", expected: "an http:// or https:// URL without user name and password" })

/** The members of the object, each of them optional. */
const Options = Schema.Struct({
  grant: Schema.optionalKey(oneOf(["authorization_code", "client_credentials", "jwt_bearer"])),
  clientId: Schema.optionalKey(nonEmptyText),
  clientSecret: Schema.optionalKey(secret(nonEmptyText)),
  clientMetadataUrl: Schema.optionalKey(httpsUrl),
  privateKey: Schema.optionalKey(secret(nonEmptyText)),
  algorithm: Schema.optionalKey(nonEmptyText),
  scope: Schema.optionalKey(nonEmptyText),
  issuer: Schema.optionalKey(issuer),
  redirectPort: Schema.optionalKey(wholeNumber({ minimum: 1, maximum: 65_535 })),
  dpop: Schema.optionalKey(boolean)
})

const names = Object.keys(Options.fields).join(", ")

const isConsistent = ({ clientId, clientSecret, grant, privateKey }: typeof Options.Type): boolean =>
  (clientSecret === undefined && privateKey === undefined || clientId !== undefined) &&
  (grant !== "client_credentials" || clientSecret !== undefined || privateKey !== undefined)

/** {@link isConsistent} as JSON Schema. */
const consistent: JsonSchema.JsonSchema = {
  dependentRequired: { clientSecret: ["clientId"], privateKey: ["clientId"] },
  anyOf: [
    { not: { properties: { grant: { const: "client_credentials" } }, required: ["grant"] } },
    { required: ["clientSecret"] },
    { required: ["privateKey"] }
  ]
}

const value = Schema.Union([
  Schema.Literal(false),
  Options.check(Schema.makeFilter(isConsistent, { toJsonSchema: () => consistent }))
]).annotate(
  expecting(
    `false, or an object with any of ${names} (clientSecret and privateKey with clientId, client_credentials with one of them)`
  )
)

/** Describes `auth`. */
export const auth = optional(value, {
  description:
    "Says how owners are authorized by a program with `OAuth`. `false` never signs in. `grant` is `authorization_code` (default), where a user signs in, `client_credentials`, or `jwt_bearer`, with an assertion of the program. A client without `clientId` is registered. `issuer` is the only authorization server that gets the credentials.",
  defaultText: "a user signs in when the server asks for it",
  why: "Most servers tell a client all that it has to know."
})
