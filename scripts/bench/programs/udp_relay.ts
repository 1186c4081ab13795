/**
 * A relay for UDP: forwards between pairs of sockets. Started as `udp_relay.ts CONFIG`; its ready line says where the
 * ends find each other.
 *
 * @module
 */

/** Where a datagram goes. */
export interface RelayAddress {
  /** IPv4 address. */
  readonly host: string;
  /** UDP port. */
  readonly port: number;
}

/** Two ends joined by the relay. The first one is known by its first datagram. */
export interface RelayRoute {
  /** Our address that stands for b towards a. */
  readonly forA: string;
  /** Our address that stands for a towards b. */
  readonly forB: string;
  /** End b. */
  readonly b: RelayAddress;
}

/** The largest UDP payload. */
const DATAGRAM_BYTES = 65_536;

function bind(hostname: string): Deno.DatagramConn {
  return Deno.listenDatagram({ transport: "udp", hostname, port: 0 });
}

function addressOf(address: Deno.Addr): RelayAddress {
  const { hostname, port } = address as Deno.NetAddr;
  return { host: hostname, port };
}

/** Sends on everything that arrives, if `route` says where to. */
async function pump(
  from: Deno.DatagramConn,
  onto: Deno.DatagramConn,
  route: (sender: RelayAddress) => RelayAddress | undefined,
): Promise<never> {
  const buffer = new Uint8Array(DATAGRAM_BYTES);
  for (;;) {
    try {
      const [data, sender] = await from.receive(buffer);
      const to = route(addressOf(sender));
      if (to === undefined) continue;
      await onto.send(data, { transport: "udp", hostname: to.host, port: to.port });
    } catch (error) {
      // What was sent to an end that is not there comes back as an error of the socket.
      if (!(error instanceof Deno.errors.ConnectionRefused)) throw error;
    }
  }
}

function start({ forA, forB, b }: RelayRoute): { forA: RelayAddress; forB: RelayAddress } {
  const [nearA, nearB] = [bind(forA), bind(forB)];
  let a: RelayAddress | undefined;
  pump(nearA, nearB, (sender) => {
    a = sender;
    return b;
  });
  pump(nearB, nearA, ({ host, port }) => port === b.port && host === b.host ? a : undefined);
  return { forA: addressOf(nearA.addr), forB: addressOf(nearB.addr) };
}

if (import.meta.main) {
  const routes: readonly RelayRoute[] = JSON.parse(Deno.args[0]!);
  console.log(JSON.stringify({ routes: routes.map(start) }));
  // Ends with its stdin, as when the benchmark is gone.
  for await (const _ of Deno.stdin.readable);
  Deno.exit(0);
}
