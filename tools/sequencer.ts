/**
 * The order of test files: those that take long begin first, so that none is left to run alone at the end.
 */
import { join } from "node:path"
import { BaseSequencer, type TestSpecification } from "vitest/node"

const root = join(import.meta.dirname, "..")

/** The files that take longest. Vitest itself goes by the size of files, as it knows no times in a clean clone. */
const slow = [
  "test/transports/fleet/faults.test.ts",
  "test/cli/Launch.test.ts",
  "test/Session.test.ts",
  "test/Fuzz.test.ts",
  "test/foreign/Foreign.test.ts",
  "test/transports/dashboard/browser.test.ts",
  "test/transports/gateway/conformance.test.ts",
  "test/transports/http/Cut.test.ts",
  "test/conformance/Conformance.test.ts",
  "test/cli/Cli.test.ts",
  "test/acceptance/A7-repeatedCycles.test.ts",
  "test/acceptance/A8-tenantsInPool.test.ts",
  "test/Docs.test.ts",
  "test/cli/Auth.test.ts",
  "test/cli/With.test.ts",
  "test/Soak.test.ts",
  "test/cli/Serve.test.ts",
  "test/cli/ServeFleet.test.ts",
  "test/transports/gateway/signIn.test.ts",
  "test/transports/fleet/anyNode.test.ts",
  "test/cli/EmitTs.test.ts",
  "test/transports/tokenStore/sharedStores.test.ts",
  "test/transports/stdio/Stdio.test.ts",
  "test/transports/recording/Recorded.test.ts",
  "test/otherClients/Faults.test.ts",
  "test/Demo.test.ts",
  "test/Examples.test.ts",
  "test/core/connection/reconnect.test.ts",
  "test/core/SessionPool.test.ts"
].map((file) => join(root, file))

const placeOf = ({ moduleId }: TestSpecification): number => {
  const place = slow.indexOf(moduleId)
  return place === -1 ? slow.length : place
}

/** Puts slow files first, and leaves the order of the others to Vitest. */
export class Sequencer extends BaseSequencer {
  override async sort(files: Array<TestSpecification>): Promise<Array<TestSpecification>> {
    // oxlint-disable-next-line unicorn/no-array-sort -- This is no array.
    const sorted = await super.sort(files)
    return sorted.toSorted((one, other) => placeOf(one) - placeOf(other))
  }
}
