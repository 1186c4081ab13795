/**
 * Asks from behind a NAT what others see of it. `reflect <ip>` answers every datagram on port 3478 with the address it
 * came from, after an unasked datagram from another port; `ask <ip>...` asks them and prints what they say.
 *
 * @module
 */

const PORT = 3478;
/** Until two answers are there; where a rule drops them, nothing tells. */
const ANSWER_MS = 1_000;

/** What `ask` prints. */
export interface Seen {
  /** `host:port` as each sees it; null without an answer. */
  readonly mapped: readonly (string | null)[];
  /** The datagram came through that nobody had asked for. */
  readonly unasked: boolean;
}

function udp(hostname: string, port: number): Deno.DatagramConn {
  return Deno.listenDatagram({ transport: "udp", hostname, port });
}

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

async function reflect(hostname: string): Promise<void> {
  const socket = udp(hostname, PORT);
  const other = udp(hostname, 0);
  console.log("ready");
  for await (const [, from] of socket) {
    if (from.transport !== "udp") continue;
    await other.send(bytes("unasked"), from);
    await socket.send(bytes(`${from.hostname}:${from.port}`), from);
  }
}

async function ask(hosts: readonly string[]): Promise<Seen> {
  const socket = udp(hosts[0]!.includes(":") ? "::" : "0.0.0.0", 0);
  const mapped: (string | null)[] = hosts.map(() => null);
  let unasked = false;
  const timer = setTimeout(() => socket.close(), ANSWER_MS);
  for (const hostname of hosts) {
    await socket.send(bytes("?"), { transport: "udp", hostname, port: PORT });
  }
  for await (const [data, from] of socket) {
    if (from.transport !== "udp") continue;
    const text = new TextDecoder().decode(data);
    if (from.port !== PORT) unasked = true;
    else mapped[hosts.indexOf(from.hostname)] = text;
    if (mapped.every((seen) => seen !== null)) socket.close();
  }
  clearTimeout(timer);
  return { mapped, unasked };
}

if (import.meta.main) {
  const [role, ...hosts] = Deno.args;
  if (role === "reflect") await reflect(hosts[0]!);
  else console.log(JSON.stringify(await ask(hosts)));
}
