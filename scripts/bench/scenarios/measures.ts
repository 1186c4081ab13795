/**
 * One round of each kind of measurement, on any transport.
 *
 * @module
 */

import { type Ends, metered } from "../ends/ends.ts";
import { Mode } from "../programs/modes.ts";
import type { Figures } from "../bench_report.ts";
import { percentile } from "../percentiles.ts";

/** A stretch of traffic. */
export interface Length {
  /** Before the clock starts, seconds. */
  readonly warmUpSeconds: number;
  /** Measured, seconds. */
  readonly seconds: number;
}

/** Answer of the programs' `window`. */
export interface Window {
  /** How long it really was. */
  readonly seconds: number;
  /** Bytes that arrived. */
  readonly bytes: number;
  /** Messages that arrived. */
  readonly messages: number;
  /** Their bytes. */
  readonly messageBytes: number;
  /** Bytes of each stream. */
  readonly streams: number[];
}

/** What arrives at one end within a time. */
export async function window(end: Ends["client"], seconds: number): Promise<Window> {
  const ms = seconds * 1000;
  return await end.call("window", { ms }, ms + 30_000) as unknown as Window;
}

/** Adds what the processor time is per payload. */
function perGigabyte(figures: Figures): Figures {
  const { cpu_s, mb_s, seconds } = figures;
  if (cpu_s === undefined || !mb_s || !seconds) return figures;
  return { ...figures, cpu_s_per_gb: cpu_s / (mb_s * seconds / 1000) };
}

/** One or more streams in one direction, or in both. */
export async function bulk(
  ends: Ends,
  { length, streams, both }: { length: Length; streams: number; both: boolean },
): Promise<Figures> {
  if (ends.iperf !== undefined) {
    return perGigabyte(await ends.iperf({ ...length, streams, both }));
  }
  await ends.client.call("flood", { streams, mode: both ? Mode.Both : Mode.Sink });
  await window(ends.server, length.warmUpSeconds);
  const receivers = both ? [ends.server, ends.client] : [ends.server];
  let least: number | undefined;
  const figures = await metered(ends, async () => {
    const windows = await Promise.all(receivers.map((end) => window(end, length.seconds)));
    const bytes = windows.reduce((sum, window) => sum + window.bytes, 0);
    if (bytes === 0) throw new Error(`${ends.name}: nothing arrived in ${length.seconds} s`);
    const perStream = windows[0]!.streams;
    const whole = perStream.reduce((sum, bytes) => sum + bytes, 0);
    least = streams > 1 ? Math.min(...perStream) / (whole / streams) : undefined;
    const { seconds } = windows[0]!;
    return { mb_s: bytes / 1e6 / seconds, seconds };
  });
  await stop(ends);
  return perGigabyte({ ...figures, ...(least === undefined ? {} : { least_share: least }) });
}

/** Ends a flood at both ends. */
export async function stop(ends: Pick<Ends, "client" | "server">): Promise<void> {
  await ends.client.call("stop");
  await ends.server.call("quiet");
}

/** There and back through an echo port: speed of a stream, and small round trips. */
export async function echo(
  ends: Ends,
  { length, count }: { length: Length; count: number },
): Promise<Figures> {
  await ends.client.call("floodEcho");
  await window(ends.client, length.warmUpSeconds);
  const figures = await metered(ends, async () => {
    const { bytes, seconds } = await window(ends.client, length.seconds);
    if (bytes === 0) throw new Error(`${ends.name}: nothing came back in ${length.seconds} s`);
    return { mb_s: bytes / 1e6 / seconds, seconds };
  });
  await stop(ends);
  return perGigabyte({ ...figures, ...await latency(ends, "roundTrips", count) });
}

/** Times of single operations. */
export async function latency(
  ends: Ends,
  op: "ping" | "roundTrips" | "dial" | "messageTrips" | "first",
  count: number,
): Promise<Figures> {
  const times = (await ends.client.call(op, { count })).times as number[];
  const whole = times.reduce((sum, time) => sum + time, 0);
  return {
    p50_ms: percentile(times, 0.5),
    p99_ms: percentile(times, 0.99),
    ops_s: times.length / whole * 1000,
  };
}

/** Messages that may be lost: how many arrive, and small round trips. */
export async function datagrams(
  ends: Ends,
  { length, bytes, count }: { length: Length; bytes: number; count: number },
): Promise<Figures> {
  await ends.client.call("messages", { ms: length.warmUpSeconds * 1000, bytes });
  const trips = await latency(ends, "messageTrips", count);
  const ms = length.seconds * 1000;
  const figures = await metered(ends, async () => {
    // The window is a little longer than the sending, for those on their way.
    const [received, { sent }] = await Promise.all([
      window(ends.server, length.seconds + 0.2),
      ends.client.call("messages", { ms, bytes }),
    ]);
    return {
      mb_s: received.messageBytes / 1e6 / length.seconds,
      ops_s: received.messages / length.seconds,
      delivered: received.messages / Number(sent),
      seconds: length.seconds,
    };
  });
  return { ...perGigabyte(figures), p50_ms: trips.p50_ms!, p99_ms: trips.p99_ms! };
}
