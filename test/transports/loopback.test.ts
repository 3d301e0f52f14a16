/**
 * Which hosts only programs of this machine reach, and which only those of one network.
 */
import { assert, describe, it } from "@effect/vitest"
import { isLoopback } from "../../packages/transports/src/internal/loopback.ts"
import { isPrivate } from "../../packages/transports/src/internal/privateAddress.ts"

describe("loopback", () => {
  for (
    const host of [
      "localhost",
      "app.localhost",
      "LOCALHOST",
      "127.0.0.1",
      "127.255.0.9",
      "::1",
      "[::1]",
      "0:0:0:0:0:0:0:1"
    ]
  ) {
    it(`is ${host}`, () => assert.isTrue(isLoopback(host)))
  }
  for (
    const host of [
      "127.0.0.999",
      "127.1",
      "127.example.com",
      "127.0.0.1.example.com",
      "localhost.example.com",
      "notlocalhost",
      "0.0.0.0",
      "::",
      "10.0.0.1",
      ""
    ]
  ) {
    it(`is not ${JSON.stringify(host)}`, () => assert.isFalse(isLoopback(host)))
  }
})

describe("a private address", () => {
  for (const host of ["10.0.0.5", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1", "fd00::1", "fe80::1"]) {
    it(`is ${host}`, () => assert.isTrue(isPrivate(host)))
  }
  for (
    const host of ["0.0.0.0", "::", "8.8.8.8", "172.32.0.1", "192.0.2.1", "10.0.0.999", "10.example.com", "2001:db8::1"]
  ) {
    it(`is not ${host}`, () => assert.isFalse(isPrivate(host)))
  }
})
