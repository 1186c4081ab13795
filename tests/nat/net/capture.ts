/**
 * What passes a device, by tcpdump, and a reader of its file (pcap) as far as UDP over IPv4 over Ethernet goes.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { eventually } from "../../e2e/processes.ts";

const GLOBAL_HEADER_BYTES = 24;
const RECORD_HEADER_BYTES = 16;
const ETHERNET_HEADER_BYTES = 14;
const UDP_HEADER_BYTES = 8;
const MAGIC = 0xa1b2c3d4;
const LINK_ETHERNET = 1;
const ETHERTYPE_IPV4 = 0x0800;
const IP_PROTOCOL_UDP = 17;
const MTU = 1500;
/** What tcpdump may lag behind by: more than all the traffic of a test. */
const BUFFER_KIB = 131_072;
/** In immediate mode every packet takes a slot of this size of the buffer; bundles of GSO are no longer. */
const SNAP_BYTES = 65_535;

/** A UDP datagram that passed. */
export interface Datagram {
  readonly from: string;
  readonly to: string;
  /** Shared with the capture. */
  readonly payload: Uint8Array;
}

/** A tcpdump that runs. */
export class Capture implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #file: string;
  readonly #messages: Promise<string>;

  /** Starts it; resolves when it listens. */
  static async start(namespace: string, device: string, file: string): Promise<Capture> {
    const child = new Deno.Command("ip", {
      args: [
        ...["netns", "exec", namespace, "tcpdump", "-i", device, "-n", "-w", file],
        ...["-U", "--immediate-mode", "-Z", "root", "-B", `${BUFFER_KIB}`, "-s", `${SNAP_BYTES}`],
      ],
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    const reader = child.stderr.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    while (!text.includes("listening on")) {
      const { done, value } = await reader.read();
      if (done) throw new Error(`tcpdump ended: ${text}`);
      text += value;
    }
    const rest = (async () => {
      let text = "";
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return text;
        text += value;
      }
    })();
    return new Capture(child, file, rest);
  }

  private constructor(child: Deno.ChildProcess, file: string, messages: Promise<string>) {
    this.#child = child;
    this.#file = file;
    this.#messages = messages;
  }

  /** Everything up to a datagram with this text, which somebody has sent last; ends the capture. */
  async until(fence: string): Promise<Uint8Array<ArrayBuffer>> {
    const isThere = async () => contains(await Deno.readFile(this.#file), fence) || undefined;
    await eventually("the capture is complete", isThere);
    this.#child.kill("SIGINT");
    await this.#child.status;
    const report = await this.#messages;
    if (!/^0 packets dropped by kernel/m.test(report)) throw new Error(`incomplete: ${report}`);
    return await Deno.readFile(this.#file);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // It has ended in order.
    }
    await this.#child.status;
    await this.#messages;
  }
}

/** Whether the bytes hold a text. */
export function contains(bytes: Uint8Array, text: string): boolean {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).includes(text);
}

/** The UDP datagrams of a capture. Throws on what it does not understand, so that nothing goes by unseen. */
export function datagrams(pcap: Uint8Array): Datagram[] {
  const view = new DataView(pcap.buffer, pcap.byteOffset, pcap.byteLength);
  const little = view.getUint32(0, true) === MAGIC;
  if (!little && view.getUint32(0) !== MAGIC) throw new Error("not a pcap file");
  if (view.getUint32(20, little) !== LINK_ETHERNET) throw new Error("not a capture of Ethernet");
  const found: Datagram[] = [];
  for (let at = GLOBAL_HEADER_BYTES; at + RECORD_HEADER_BYTES <= pcap.length;) {
    const bytes = view.getUint32(at + 8, little);
    const start = at + RECORD_HEADER_BYTES;
    if (bytes !== view.getUint32(at + 12, little)) throw new Error("a packet was cut short");
    const datagram = udpOf(pcap.subarray(start, start + bytes));
    if (datagram !== undefined) found.push(datagram);
    at = start + bytes;
  }
  return found;
}

function udpOf(packet: Uint8Array): Datagram | undefined {
  const view = new DataView(packet.buffer, packet.byteOffset, packet.byteLength);
  if (view.getUint16(12) !== ETHERTYPE_IPV4) return undefined;
  const ip = ETHERNET_HEADER_BYTES;
  if (packet[ip + 9] !== IP_PROTOCOL_UDP) return undefined;
  if ((view.getUint16(ip + 6) & 0x3fff) !== 0) throw new Error("a fragment");
  if (view.getUint16(ip + 2) > MTU) throw new Error("a batch of datagrams in one packet");
  const udp = ip + 4 * (packet[ip]! & 0x0f);
  const end = udp + view.getUint16(udp + 4);
  const host = (offset: number) => packet.subarray(offset, offset + 4).join(".");
  return {
    from: `${host(ip + 12)}:${view.getUint16(udp)}`,
    to: `${host(ip + 16)}:${view.getUint16(udp + 2)}`,
    payload: packet.subarray(udp + UDP_HEADER_BYTES, end),
  };
}
