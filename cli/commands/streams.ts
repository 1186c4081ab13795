/**
 * Plain streams and datagrams: `connect`, `send`, `recv`, `listen`, `dgram` (services-cli.md §4, §6.5).
 *
 * @module
 */

import { formatAddress } from "../../protocol/address.ts";
import { PilotError } from "../../protocol/errors.ts";
import { PORT_STDIO } from "../../protocol/ports.ts";
import type { Conn } from "../../sdk/mod.ts";
import { usageError } from "../errors.ts";
import { exchange, QUIET_MS } from "../exchange.ts";
import { gather } from "../gather.ts";
import type { Invocation } from "../invocation.ts";
import { counted, type Outcome } from "../output.ts";
import { parseCount, parseDuration, parsePort } from "../parse.ts";
import { join, MAX_INPUT_BYTES, PAYLOAD_OPTIONS, payloadFields, readPayload } from "../payload.ts";
import type { CommandGroup, OptionSpec } from "../spec.ts";
import { passOn, printable, show } from "../text.ts";
import { pause } from "../wait.ts";

const NEWLINE = 10;
/** Default of `--timeout`, milliseconds. */
const TIMEOUT_MS = 30_000;

const TIMEOUT_OPTION: OptionSpec = {
  flags: "--timeout <duration>",
  description: "Longest wait, 0 for no limit (30s)",
  parse: parseDuration,
};

async function connect(call: Invocation): Promise<Outcome> {
  const target = call.arg(0, "target");
  const port = call.args[1] === undefined ? PORT_STDIO : parsePort(call.args[1]);
  const message = call.options.text("message");
  const { stdin } = call.host;
  if (message !== undefined) {
    return await converse(call, target, port, [new TextEncoder().encode(message)]);
  }
  if (!stdin.isTerminal) return await converse(call, target, port, stdin.readable());
  if (call.json) throw usageError("Nothing to send", "Give --message TEXT or pipe something in.");
  return await interact(call, target, port);
}

async function send(call: Invocation): Promise<Outcome> {
  const target = call.arg(0, "target");
  const port = parsePort(call.arg(1, "port"));
  return await converse(call, target, port, [await readPayload(call)]);
}

/** Sends, then shows the answer. */
async function converse(
  call: Invocation,
  target: string,
  port: number,
  source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): Promise<Outcome> {
  const timeoutMs = call.options.number("timeout") ?? TIMEOUT_MS;
  const driver = await call.driver();
  const { signal } = call;
  const conn = await driver.dial(target, port, {
    signal,
    ...(timeoutMs === 0 ? {} : { timeoutMs }),
  });
  const chunks: Uint8Array[] = [];
  let kept = 0;
  let lastByte: number | undefined;
  const sink = (chunk: Uint8Array) => {
    if (!call.json) {
      lastByte = chunk.at(-1);
      return passOn(call.host.stdout, chunk);
    }
    kept += chunk.length;
    if (kept > MAX_INPUT_BYTES) {
      throw new PilotError("limit_exceeded", "The answer is longer than 16 MiB", {
        hint: "Without --json it is passed on as it arrives.",
      });
    }
    chunks.push(chunk);
  };
  try {
    const { sent, received, ended } = await exchange(conn, { source, sink, timeoutMs, signal });
    if (received === 0 && !ended) {
      throw call.failure(
        "timeout",
        `No answer from ${target} port ${port} within ${timeoutMs / 1000} s`,
        {
          data: { target, port, sent, response: "" },
          hint: `${counted(sent, "byte")} delivered.`,
        },
      );
    }
    await conn.close({ signal });
    const { stdout } = call.host;
    if (lastByte !== undefined && lastByte !== NEWLINE && stdout.isTerminal) show(stdout, "");
    if (received === 0) call.note(`sent ${counted(sent, "byte")} (no response)`);
    return { data: { target, port, sent, ...payloadFields(join(chunks), "response") } };
  } catch (error) {
    conn.abort();
    throw error;
  }
}

/** A session at the terminal: what is typed is sent, what arrives is shown, until either side ends. */
async function interact(call: Invocation, target: string, port: number): Promise<Outcome> {
  const { signal } = call;
  const driver = await call.driver();
  const conn = await driver.dial(target, port, { signal });
  call.note(`Connected to ${target} port ${port}; end with Ctrl-D.`);
  let sent = 0;
  const type = async () => {
    for await (const chunk of call.host.stdin.readable()) {
      await conn.write(chunk, { signal });
      sent += chunk.length;
    }
  };
  const show = async () => {
    for (;;) {
      const chunk = await conn.read({ signal });
      if (chunk === undefined) return;
      passOn(call.host.stdout, chunk);
    }
  };
  try {
    // After Ctrl-D the answer to the last line still gets its time.
    await Promise.race([type().then(() => pause(QUIET_MS)), show()]);
    await conn.close({ signal });
  } catch (error) {
    conn.abort();
    throw error;
  }
  return { data: { target, port, sent } };
}

async function recv(call: Invocation): Promise<Outcome | undefined> {
  const port = parsePort(call.arg(0, "port"));
  const count = call.options.number("count") ?? 1;
  const driver = await call.driver();
  await using listener = await driver.listen(port, { signal: call.signal });
  return await gather(
    call,
    { count, what: `Receiving on port ${port}`, isRaw: true },
    async (seq, signal) => {
      const conn = await listener.accept({ signal });
      const from = formatAddress(conn.remoteAddress);
      try {
        const body = await readMessage(conn, signal);
        await conn.close({ signal });
        return {
          data: { seq, port, from, ...payloadFields(body), bytes: body.length },
          body,
          label: from,
        };
      } catch (error) {
        conn.abort();
        const failure = PilotError.from(error, "connection_failed");
        if (failure.code === "aborted") throw error;
        const text = new TextEncoder().encode(`error: ${printable(failure.message)}`);
        return { data: { seq, port, from, error: failure.message }, body: text, label: from };
      }
    },
  );
}

/** Everything a peer sends until it closes or falls silent. */
async function readMessage(conn: Conn, signal: AbortSignal): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  const sink = (chunk: Uint8Array) => {
    length += chunk.length;
    if (length > MAX_INPUT_BYTES) {
      throw new PilotError("limit_exceeded", "The message is longer than 16 MiB");
    }
    chunks.push(chunk);
  };
  await exchange(conn, { source: [], sink, timeoutMs: 0, signal });
  return join(chunks);
}

async function listen(call: Invocation): Promise<Outcome | undefined> {
  const port = parsePort(call.arg(0, "port"));
  const count = call.options.number("count") ?? 0;
  const driver = await call.driver();
  await using datagrams = driver.datagrams(port);
  return await gather(
    call,
    { count, what: `Listening on port ${port}`, isRaw: true },
    async (_seq, signal) => {
      const datagram = await datagrams.receive({ signal });
      if (datagram === undefined) return undefined;
      const { source, sourcePort, data: body } = datagram;
      const data = {
        src_addr: formatAddress(source),
        src_port: sourcePort,
        ...payloadFields(body),
        bytes: body.length,
      };
      return { data, body, label: `${formatAddress(source)}:${sourcePort}` };
    },
  );
}

async function dgram(call: Invocation): Promise<Outcome> {
  const target = call.arg(0, "target");
  const port = parsePort(call.arg(1, "port"));
  const payload = await readPayload(call);
  if (payload.length === 0) throw usageError("A datagram cannot be empty");
  const driver = await call.driver();
  await driver.sendDatagram(target, port, payload, { signal: call.signal });
  return {
    data: { target, port, bytes: payload.length },
    text: `Sent ${counted(payload.length, "byte")} (delivery is not confirmed)`,
  };
}

/** Streams and datagrams by hand. */
export const streamsGroup: CommandGroup = {
  title: "Streams and datagrams",
  commands: [
    {
      name: "connect",
      summary: "Talk to a port: one message, what is piped in, or a session at the terminal",
      args: "<target> [port]",
      options: [
        { flags: "--message <text>", description: "Send this and show the answer" },
        TIMEOUT_OPTION,
      ],
      examples: [
        "connect alice",
        'connect alice 7 --message "hello"',
        "echo hello | pilotctl connect 5 1000",
      ],
      returns: "target, port, sent, response (response_b64 when it is not text)",
      run: connect,
    },
    {
      name: "send",
      summary: "Send data to a port and show the answer",
      args: "<target> <port>",
      options: [...PAYLOAD_OPTIONS, TIMEOUT_OPTION],
      examples: ['send alice 7 --data "hello"', "send 5 1000 --file note.txt"],
      returns: "target, port, sent, response (response_b64 when it is not text)",
      run: send,
    },
    {
      name: "recv",
      summary: "Accept connections on a port and show what they send",
      args: "<port>",
      options: [
        { flags: "--count <n>", description: "Connections, 0 for no end (1)", parse: parseCount },
        TIMEOUT_OPTION,
      ],
      examples: ["recv 1000", "recv 5000 --count 3 --timeout 2m"],
      returns:
        "messages[{seq, port, from, data, bytes | error}], timeout; without end: one object per line",
      run: recv,
    },
    {
      name: "listen",
      summary: "Show the datagrams that arrive on a port",
      args: "<port>",
      options: [
        { flags: "--count <n>", description: "Datagrams, 0 for no end (0)", parse: parseCount },
        TIMEOUT_OPTION,
      ],
      examples: ["listen 5000", "listen 5000 --count 1 --timeout 10s --json"],
      returns:
        "messages[{src_addr, src_port, data, bytes}], timeout; without a count: one object per line",
      run: listen,
    },
    {
      name: "dgram",
      summary: "Send one datagram",
      args: "<target> <port>",
      options: PAYLOAD_OPTIONS,
      examples: ['dgram alice 5000 --data "ping"'],
      returns: "target, port, bytes",
      run: dgram,
    },
  ],
};
