/**
 * What the demo measures, with the SDK, between two daemons that trust each other.
 *
 * @module
 */

import type { Driver } from "../../mod.ts";
import { PORT_ECHO } from "../../protocol/well_known_ports.ts";

const PINGS = 50;
const DIALS = 30;
/** Port of the listener that takes the bulk transfer. */
const SINK_PORT = 5001;
/** Bytes that open the congestion window before the clock starts. */
const WARM_UP_BYTES = 2_000_000;
const BULK_BYTES = 20_000_000;
const WRITE_BYTES = 256 * 1024;

/** Speeds on the direct path. */
export interface Figures {
  /** Median round trip between the daemons, milliseconds. */
  ping_p50_ms: number;
  /** Median time to open a connection to the echo port, milliseconds. */
  dial_p50_ms: number;
  /** One direction of one stream, from the first write to the last byte read, 10^6 bytes per second. */
  bulk_mb_s: number;
}

/**
 * Measures ping, dial and bulk transfer.
 *
 * @param from Driver that dials.
 * @param to Driver that listens.
 * @param target The listening agent.
 * @param signal Gives up.
 * @returns The figures.
 */
export async function measure(
  from: Driver,
  to: Driver,
  target: string,
  signal: AbortSignal,
): Promise<Figures> {
  const address = await from.resolveTarget(target, { signal });
  const pings: number[] = [];
  for (let i = 0; i < PINGS; i++) pings.push((await from.ping(address, { signal })).rtt_ms);
  const dials: number[] = [];
  for (let i = 0; i < DIALS; i++) {
    const started = performance.now();
    const conn = await from.dial(address, PORT_ECHO, { signal });
    dials.push(performance.now() - started);
    await conn.close({ signal });
  }
  return {
    ping_p50_ms: round(median(pings)),
    dial_p50_ms: round(median(dials)),
    bulk_mb_s: round(await bulk(from, to, target, signal)),
  };
}

/** 10^6 bytes per second of one stream in one direction. */
async function bulk(
  from: Driver,
  to: Driver,
  target: string,
  signal: AbortSignal,
): Promise<number> {
  await using listener = await to.listen(SINK_PORT, { signal });
  const [sender, receiver] = await Promise.all([
    from.dial(target, SINK_PORT, { signal }),
    listener.accept({ signal }),
  ]);
  await using _sender = sender;
  await using _receiver = receiver;
  const transfer = async (bytes: number) => {
    const started = performance.now();
    const take = async () => {
      for (let left = bytes; left > 0;) {
        const chunk = await receiver.read({ signal });
        if (chunk === undefined) throw new Error(`The bulk transfer ended ${left} bytes early`);
        left -= chunk.length;
      }
    };
    const piece = crypto.getRandomValues(new Uint8Array(65_536));
    const data = new Uint8Array(WRITE_BYTES);
    for (let at = 0; at < data.length; at += piece.length) data.set(piece, at);
    const give = async () => {
      for (let left = bytes; left > 0; left -= WRITE_BYTES) {
        await sender.write(data.subarray(0, Math.min(left, WRITE_BYTES)), { signal });
      }
    };
    await Promise.all([give(), take()]);
    return bytes / 1e6 / ((performance.now() - started) / 1000);
  };
  await transfer(WARM_UP_BYTES);
  return await transfer(BULK_BYTES);
}

function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) / 2)] ?? Number.NaN;
}

/** Three significant places are more than a run on a busy machine is good for. */
export function round(value: number): number {
  return Math.round(value * 100) / 100;
}
