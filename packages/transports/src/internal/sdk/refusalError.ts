/**
 * The SDK's error of a refused HTTP request: its client picks the era by the status and the body of it.
 */
import { SdkErrorCode, SdkHttpError } from "@modelcontextprotocol/client"
import { STATUS_CODES } from "node:http"
import type { Refusal } from "../http/httpExchange.ts"

export const refusalError = ({ body, status }: Refusal): SdkHttpError =>
  new SdkHttpError(SdkErrorCode.ClientHttpNotImplemented, `the server responded with HTTP ${status}`, {
    status,
    statusText: STATUS_CODES[status] ?? "",
    text: body
  })
