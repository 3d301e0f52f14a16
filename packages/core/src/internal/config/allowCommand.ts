/**
 * Asks a program whether a definition may start a command.
 */
import type { AllowCommand } from "../../ServerConfig.ts"

/** A predicate that throws, or answers anything but `true`, allows nothing. */
export const isAllowed = (program: Parameters<AllowCommand>[0], allowCommand: AllowCommand | undefined): boolean => {
  if (allowCommand === undefined) return true
  try {
    return allowCommand(program) === true
  } catch {
    return false
  }
}
