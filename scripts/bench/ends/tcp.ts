/**
 * The peer `tcp`.
 *
 * @module
 */

import { type PeerEnds, type Setting, startAgent } from "./ends.ts";

/** TCP is the system's. */
const SYSTEM = `${Deno.build.os === "linux" ? "Linux" : Deno.build.os} ${Deno.osRelease()}`;

/** Starts both ends; `hosts` other than the topology's make it TCP over another tunnel. */
export async function tcpEnds(
  { topology, signal }: Setting,
  { name = "tcp", host = topology.b.host } = {},
): Promise<PeerEnds> {
  await using stack = new AsyncDisposableStack();
  const transport = "tcp";
  const server = stack.use(
    await startAgent("serve", { transport, host, port: 0 }, { place: topology.b, name, signal }),
  );
  const port = Number(String(server.ready.at).split(":").at(-1));
  const client = stack.use(
    await startAgent("dial", { transport, host, port }, { place: topology.a, name, signal }),
  );
  const pids = [client.pid, server.pid];
  const owned = stack.move();
  return {
    name,
    version: SYSTEM,
    client,
    server,
    pids,
    carriers: pids,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
