/**
 * The WebSocket client. The published package has its code in this module (`rolldown.config.ts`).
 */
export { WebSocket } from "ws"
