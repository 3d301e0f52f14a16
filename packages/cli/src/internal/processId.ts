/**
 * The id of this process.
 */
import process from "node:process"

export const processId: number = process.pid
