/**
 * `ping` and `bench` (docs/protocol/services.md §1); `netcheck` and `doctor` have files of their own.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { formatAddress } from "../../protocol/address.ts";
import { PilotError, remedyOf } from "../../protocol/errors.ts";
import { PORT_ECHO } from "../../protocol/well_known_ports.ts";
import { ERROR_MEANINGS } from "../exit_codes.ts";
import type { ExchangeConn } from "../exchange.ts";
import type { Invocation } from "../invocation.ts";
import { type Outcome, round } from "../output.ts";
import { parseDuration, parseMegabytes, parsePositive } from "../parse.ts";
import type { CommandGroup } from "../spec.ts";
import { show } from "../terminal_text.ts";
import { plainClock } from "../../platform/clock.ts";
import { pause } from "../../platform/waiting.ts";
import { within } from "../wait.ts";
import { doctorCommand } from "./doctor_commands.ts";
import { netcheckCommand } from "./netcheck_commands.ts";

const PING_COUNT = 4;
const PING_INTERVAL_MS = 1000;
/** Longest wait for one answer, milliseconds. */
const PROBE_TIMEOUT_MS = 5000;
/** Longest time for a whole `ping`, milliseconds (as existing scripts expect). */
const PING_TIMEOUT_MS = 30_000;
const BENCH_MB = 1;
/** Longest wait for the last echoed byte, as existing programs have it (docs/protocol/services.md §1). */
const BENCH_TIMEOUT_MS = 120_000;
const MIB = 1024 * 1024;
/** Bytes per write of `bench`: many times the window, so that it stays full. */
const BENCH_CHUNK = 4 * MIB;

interface PingResult {
  seq: number;
  rtt_ms?: number;
  relayed?: boolean;
  error?: string;
}

async function ping(call: Invocation): Promise<Outcome> {
  const { options, signal } = call;
  const target = call.arg(0, "target");
  const count = options.number("count") ?? PING_COUNT;
  const intervalMs = options.number("interval") ?? PING_INTERVAL_MS;
  const limitMs = options.number("timeout") ?? PING_TIMEOUT_MS;
  const deadline = limitMs === 0 ? Infinity : performance.now() + limitMs;
  const driver = await call.driver();
  const address = await driver.resolveTarget(target, { signal });
  call.note(`PING ${formatAddress(address)}`);
  const results: PingResult[] = [];
  let lastError: PilotError | undefined;
  while (results.length < count && !signal.aborted) {
    const left = deadline - performance.now();
    if (left <= 0) break;
    const seq = results.length;
    try {
      const timeoutMs = Math.ceil(Math.min(PROBE_TIMEOUT_MS, left));
      const reply = await driver.ping(address, { timeoutMs, signal });
      results.push({ seq, rtt_ms: round(reply.rtt_ms), relayed: reply.relayed });
    } catch (error) {
      lastError = PilotError.from(error, "connection_failed");
      if (lastError.code === "aborted") break;
      results.push({ seq, error: lastError.message });
      const isFinal = !ERROR_MEANINGS[lastError.code].retry && seq === 0;
      if (isFinal) break; // another try gives the same
    }
    if (!call.json) show(call.host.stdout, pingLine(results.at(-1)!));
    const rest = Math.min(intervalMs, deadline - performance.now());
    if (results.length < count && rest > 0) await pause(plainClock, rest, signal);
  }
  const isOver = lastError !== undefined && !ERROR_MEANINGS[lastError.code].retry;
  const timedOut = results.length < count && !signal.aborted && !isOver;
  const rtts = results.flatMap(({ rtt_ms }) => rtt_ms ?? []).sort((a, b) => a - b);
  const data = {
    target: formatAddress(address),
    results,
    timeout: timedOut,
    sent: results.length,
    received: rtts.length,
    ...statistics(rtts),
  };
  if (rtts.length === 0) {
    const code = lastError?.code ?? (signal.aborted ? "aborted" : "timeout");
    throw call.failure(code, lastError?.message ?? `No answer from ${target}`, {
      data,
      ...(lastError === undefined ? {} : remedyOf(lastError)),
    });
  }
  const { rtt_min_ms, rtt_p50_ms, rtt_avg_ms, rtt_max_ms } = data;
  return {
    data,
    text: `${data.sent} sent, ${data.received} received, ` +
      `rtt min/p50/avg/max ${rtt_min_ms}/${rtt_p50_ms}/${rtt_avg_ms}/${rtt_max_ms} ms`,
  };
}

function pingLine(result: PingResult): string {
  if (result.rtt_ms === undefined) return `seq=${result.seq} ${result.error}`;
  return `seq=${result.seq} time=${result.rtt_ms} ms${result.relayed ? " (relayed)" : ""}`;
}

interface Statistics {
  rtt_min_ms?: number;
  rtt_p50_ms?: number;
  rtt_avg_ms?: number;
  rtt_max_ms?: number;
}

function statistics(sorted: readonly number[]): Statistics {
  if (sorted.length === 0) return {};
  return {
    rtt_min_ms: sorted[0]!,
    rtt_p50_ms: sorted[Math.floor((sorted.length - 1) / 2)]!,
    rtt_avg_ms: round(sorted.reduce((sum, rtt) => sum + rtt, 0) / sorted.length),
    rtt_max_ms: sorted.at(-1)!,
  };
}

async function bench(call: Invocation): Promise<Outcome> {
  const target = call.arg(0, "target");
  const bytes = Math.round(parseMegabytes(call.args[1] ?? String(BENCH_MB)) * MIB);
  const timeoutMs = call.options.number("timeout") ?? BENCH_TIMEOUT_MS;
  const driver = await call.driver();
  const conn = await driver.dial(target, PORT_ECHO, { signal: call.signal });
  try {
    const figures = await within(
      timeoutMs,
      call.signal,
      `Benchmark with ${target}`,
      (signal) => echo(conn, bytes, signal),
    );
    const data = { target, ...figures };
    return {
      data,
      text: `Sent ${figures.sent_bytes} bytes in ${figures.send_duration_ms} ms ` +
        `(${figures.send_mbps} MiB/s), echoed in ${figures.total_duration_ms} ms (${figures.total_mbps} MiB/s)`,
    };
  } finally {
    conn.abort(); // nothing is left to deliver
  }
}

/** Writes and reads at the same time; the caller ends the connection, which ends whichever half is left. */
async function echo(conn: ExchangeConn, bytes: number, signal: AbortSignal) {
  const pattern = benchPattern();
  const started = performance.now();
  let sending = 0;
  let received = 0;
  const write = async () => {
    for (let at = 0; at < bytes; at += pattern.length) {
      const length = Math.min(pattern.length, bytes - at);
      await conn.write(pattern.subarray(0, length), { signal });
    }
    sending = performance.now() - started;
  };
  const read = async () => {
    while (received < bytes) {
      const chunk = await conn.read({ signal });
      if (chunk === undefined) {
        throw new PilotError(
          "connection_closed",
          `The echo ended after ${received} of ${bytes} bytes`,
        );
      }
      if (!matches(pattern, chunk, received)) {
        throw new PilotError("protocol_error", `The echo differs near byte ${received}`);
      }
      received += chunk.length;
    }
  };
  await Promise.all([write(), read()]);
  const total = performance.now() - started;
  const mebibytes = (ms: number) => round(bytes / MIB / (ms / 1000), 2);
  const megabytes = (ms: number) => round(bytes / 1e6 / (ms / 1000), 2);
  return {
    sent_bytes: bytes,
    recv_bytes: received,
    send_duration_ms: round(sending, 1),
    total_duration_ms: round(total, 1),
    send_mbps: mebibytes(sending), // the reference's name and unit
    total_mbps: mebibytes(total),
    send_mb_s: megabytes(sending),
    total_mb_s: megabytes(total),
  };
}

/** Bytes that differ at every shift by less than their length, so that lost or doubled pieces show. */
function benchPattern(): Uint8Array {
  const words = new Uint32Array(BENCH_CHUNK / 4);
  for (let i = 0; i < words.length; i++) words[i] = Math.imul(i + 1, 0x9e3779b1);
  return new Uint8Array(words.buffer);
}

function matches(pattern: Uint8Array, chunk: Uint8Array, at: number): boolean {
  for (let done = 0; done < chunk.length;) {
    const from = (at + done) % BENCH_CHUNK;
    const length = Math.min(chunk.length - done, BENCH_CHUNK - from);
    const expected = pattern.subarray(from, from + length);
    if (Buffer.compare(expected, chunk.subarray(done, done + length)) !== 0) return false;
    done += length;
  }
  return true;
}

/** How well does it work? */
export const diagnosticsGroup: CommandGroup = {
  title: "Diagnostics",
  commands: [
    {
      name: "ping",
      summary: "Measure the round trip to a node over the tunnel",
      args: "<target>",
      options: [
        { flags: "--count <n>", description: `Probes (${PING_COUNT})`, parse: parsePositive },
        {
          flags: "--interval <duration>",
          description: "Pause between probes (1s)",
          parse: parseDuration,
        },
        {
          flags: "--timeout <duration>",
          description: "Maximum time in total, 0 for no limit (30s)",
          parse: parseDuration,
        },
      ],
      examples: ["ping alice", "ping 5 --count 10 --interval 100ms"],
      returns:
        "target, results[{seq, rtt_ms, relayed | error}], timeout, sent, received, rtt_min_ms, rtt_p50_ms, rtt_avg_ms, rtt_max_ms; fails when no probe is answered",
      run: ping,
    },
    {
      name: "bench",
      summary: "Measure the throughput of a stream to a node's echo service and back",
      args: "<target> [size_mb]",
      options: [
        { flags: "--timeout <duration>", description: "Maximum time (120s)", parse: parseDuration },
      ],
      examples: ["bench alice", "bench alice 100"],
      returns:
        "target, sent_bytes, recv_bytes, send_duration_ms, total_duration_ms, send_mbps and total_mbps (MiB/s), send_mb_s and total_mb_s (MB/s)",
      run: bench,
    },
    netcheckCommand,
    doctorCommand,
  ],
};
