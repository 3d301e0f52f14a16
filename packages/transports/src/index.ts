export * as Memory from "./Memory.ts"
export * as Stdio from "./Stdio.ts"
export * as StreamableHttp from "./StreamableHttp.ts"
export * as Transports from "./Transports.ts"
