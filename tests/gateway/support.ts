/** A gateway before a daemon that does what tests tell it to. */

import type { PilotError } from "../../protocol/errors.ts";
import { Cmd, encodeConn } from "../../protocol/ipc/mod.ts";
import { Gateway, type GatewayLimits } from "../../gateway/mod.ts";
import { type FakeClient, FakeDaemon, type FakeStream } from "../sdk/fake_daemon.ts";
import type { Where } from "../platform/net/resets.ts";

/** The agents of the tests. */
export const ALICE = { network: 0, node: 5 };
export const BOB = { network: 0, node: 6 };

/** Everything a test needs. */
export interface GatewayWorld {
  readonly gateway: Gateway;
  /** The daemon's side of the gateway. */
  readonly client: FakeClient;
  /** What was reported. */
  readonly errors: PilotError[];
  /** Maps an agent; where its port is. */
  map(address: { network: number; node: number }): Where;
  /** Connects, and lets the daemon accept: both ends. */
  connect(where: Where): Promise<{ tcp: Deno.TcpConn; stream: FakeStream }>;
}

/** Runs a test body; connections are closed afterwards. */
export async function withGateway(
  limits: Partial<GatewayLimits>,
  body: (world: GatewayWorld) => Promise<void>,
): Promise<void> {
  await using daemon = new FakeDaemon();
  const { driver, client } = await daemon.connect();
  const errors: PilotError[] = [];
  const opened: Deno.TcpConn[] = [];
  await using gateway = new Gateway({
    ...{ driver, subnet: "127.77.0.0/16", ports: [0], limits },
    onError: (error) => errors.push(error),
  });
  let id = 0;
  try {
    await body({
      ...{ gateway, client, errors },
      map: (address) => {
        const { localIp, ports } = gateway.map(address);
        return { hostname: localIp, port: ports[0]! };
      },
      connect: async (where) => {
        const tcp = await Deno.connect(where);
        opened.push(tcp);
        return { tcp, stream: await client.acceptDial(++id) };
      },
    });
  } finally {
    for (const tcp of opened) closeTcp(tcp);
  }
}

/** Accepts every dial and sends back what comes, until the client of the daemon ends. */
export async function echoEverybody(client: FakeClient): Promise<void> {
  for (let id = 1_000;; id++) {
    const dial = await client.expect(Cmd.Dial).catch(() => undefined);
    if (dial === undefined) return;
    const stream = client.stream(id);
    client.answer(dial, Cmd.DialOk, encodeConn(id));
    void echo(stream);
  }
}

async function echo(stream: FakeStream): Promise<void> {
  for (;;) {
    const byte = await stream.read(1).catch(() => undefined);
    if (byte === undefined) return;
    stream.write(byte);
  }
}

/** Tests may have closed it themselves. */
export function closeTcp(tcp: Deno.TcpConn): void {
  try {
    tcp.close();
  } catch (error) {
    if (!(error instanceof Deno.errors.BadResource)) throw error;
  }
}

/** Some bytes as text; empty at the end, also when the other side has reset. */
export async function readText(tcp: Deno.TcpConn): Promise<string> {
  const buffer = new Uint8Array(1_000);
  const count = await tcp.read(buffer).catch((error) => {
    if (error instanceof Deno.errors.ConnectionReset) return null;
    throw error;
  });
  return new TextDecoder().decode(buffer.subarray(0, count ?? 0));
}
