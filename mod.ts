/**
 * Pilot Protocol: permanent addresses, encrypted tunnels and reliable streams between agents.
 *
 * A program talks to the daemon on its machine (`pilotctl daemon start`); the daemon talks to the world.
 *
 * ```ts
 * import { connect } from "@pilot-protocol/pilot";
 *
 * await using driver = await connect();
 *
 * // Answer on port 4000 ...
 * await using listener = await driver.listen(4000);
 * (async () => {
 *   for await (const conn of listener) {
 *     await conn.readable.pipeTo(conn.writable);
 *   }
 * })();
 *
 * // ... and talk to another agent's port 4000.
 * const { node_id } = await driver.trust.request("alice", "We share a project");
 * await driver.trust.waitFor(node_id);
 * await using conn = await driver.dial("alice", 4000);
 * await conn.write("hello");
 * console.log(new TextDecoder().decode(await conn.read()));
 * ```
 *
 * Every failure is a {@linkcode PilotError} with a stable `code` and, where there is one, a `hint`.
 *
 * @module
 */

export * from "./sdk/mod.ts";
export { ADVICE, type Advice, type AdviceFields, type AdviceId } from "./protocol/advice.ts";
export { type ErrorCode, PilotError, type PilotErrorOptions } from "./protocol/errors.ts";
export {
  type Address,
  formatAddress,
  formatSocketAddress,
  parseAddress,
  parseSocketAddress,
  type SocketAddress,
} from "./protocol/address.ts";
