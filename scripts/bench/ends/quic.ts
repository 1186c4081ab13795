/**
 * The peer `quic`.
 *
 * @module
 */

import { mkdtemp, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { selfSigned } from "../host/quic_certificate.ts";
import { freeUdpPort } from "../host/free_ports.ts";
import { quicVersion } from "../host/program_versions.ts";
import { SERVER_NAME } from "../programs/quic_transport.ts";
import { type PeerEnds, type Setting, startAgent, startUdpRelay } from "./ends.ts";

/** Starts both ends, with a relay between them if that is needed. */
export async function quicEnds(setting: Setting): Promise<PeerEnds> {
  const { topology, directory, signal } = setting;
  const name = "quic";
  await using stack = new AsyncDisposableStack();
  const { cert, key } = selfSigned(SERVER_NAME);
  const files = await mkdtemp(join(directory, "quic-"));
  const [certFile, keyFile] = [join(files, "cert.pem"), join(files, "key.pem")];
  await writeFile(certFile, cert, { mode: 0o600 });
  await writeFile(keyFile, key, { mode: 0o600 });
  const transport = "quic";
  const listen = {
    transport,
    host: topology.b.host,
    port: freeUdpPort(),
    certFile,
    keyFile,
  } as const;
  const server = stack.use(await startAgent("serve", listen, { place: topology.b, name, signal }));
  let target = { host: listen.host, port: listen.port };
  if (setting.udpRelay) {
    const relay = await startUdpRelay(setting, [target]);
    stack.use(relay.program);
    target = relay.routes[0]!.forA;
  }
  const dial = { transport, ...target, certFile } as const;
  const client = stack.use(await startAgent("dial", dial, { place: topology.a, name, signal }));
  const pids = [client.pid, server.pid];
  const owned = stack.move();
  return {
    name,
    ...await quicVersion(),
    client,
    server,
    pids,
    carriers: pids,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
