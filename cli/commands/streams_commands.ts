/**
 * Plain streams and datagrams: `connect`, `send`, `recv`, `listen`, `dgram` (docs/protocol/command-line.md §4).
 *
 * @module
 */

import { formatAddress } from "../../protocol/address.ts";
import { PilotError, remedyOf } from "../../protocol/errors.ts";
import { PORT_ECHO, PORT_STDIO } from "../../protocol/well_known_ports.ts";
import type { Conn } from "../../sdk/mod.ts";
import { OutputClosed, usageError } from "../command_failure.ts";
import { exchange, type Exchanged } from "../exchange.ts";
import { gather } from "../gather.ts";
import type { Invocation } from "../invocation.ts";
import { counted, type Outcome } from "../output.ts";
import { parseCount, parseDuration, parseListenPort, parsePort } from "../parse.ts";
import { Collected, openPayload, PAYLOAD_OPTIONS, payloadFields, readPayload } from "../payload.ts";
import type { CommandGroup } from "../spec.ts";
import type { OptionSpec } from "../option_spec.ts";
import { PassOn, show } from "../terminal_text.ts";
import { recv } from "./receive_commands.ts";

/** Longest silence while an answer is awaited, when `--timeout` is not given, milliseconds. */
const TIMEOUT_MS = 30_000;
/** So long an answer that nobody asked for with `--timeout` may take to begin, milliseconds. */
const NO_ANSWER_MS = 5_000;
/** After Ctrl-D at the terminal: a silence that ends the session, milliseconds. */
const SESSION_END_MS = 2_000;

const END_AFTER_OPTION: OptionSpec = {
  flags: "--end-after <duration>",
  description: "Treat this much silence as the end, for peers that do not close",
  parse: parseDuration,
};

const ANSWER_OPTIONS: readonly OptionSpec[] = [
  {
    flags: "--timeout <duration>",
    description: "Fail after this much silence while waiting for the answer, 0 for never (30s)",
    parse: parseDuration,
  },
  END_AFTER_OPTION,
  {
    flags: "--close-write",
    description:
      "Tell the peer when everything is sent, for programs that read to the end before they answer",
  },
];

const COUNT_TIMEOUT_OPTION: OptionSpec = {
  flags: "--timeout <duration>",
  description: "Maximum wait, 0 for no limit (30s with a count)",
  parse: parseDuration,
};

const ANSWER_NOTES =
  `The answer ends when the peer closes (port ${PORT_ECHO}: when everything came back),
however slowly it comes; what arrives is passed on at once, as it is, of any size. A peer that falls silent without
closing makes the command fail after --timeout; for peers that never close, give --end-after.
The connection stays open for the answer. When none begins within 5 s and --timeout is not given, there is none: the
connection is closed, and exit code 0 says that everything arrived. A program that answers when it has read to the end
needs --close-write (as nc -N), which peers and programs of existing versions do not know.
A peer that needs longer to begin: --timeout 2m. Exit code 0 always means that everything sent was acknowledged by
the peer, and that the answer is whole.`;

const RECV_NOTES =
  `A connection is taken to its end, which the sender sets by closing; there is no limit of size. To a pipe
or file go the bytes as they are, one connection after another; a terminal shows lines with the sender's address.
A connection that breaks ends the command with an error, after the others. Senders that wait for an answer before
they close (existing pilotctl send: 30 s) are not waited for with --end-after 1s.`;

async function connect(call: Invocation): Promise<Outcome> {
  const target = call.arg(0, "target");
  const port = call.args[1] === undefined ? PORT_STDIO : parsePort(call.args[1]);
  const message = call.options.text("message");
  const { stdin } = call.host;
  if (message !== undefined) {
    // Asked for an answer: without one it fails.
    return await converse(call, { target, port, isQuestion: true }, [
      new TextEncoder().encode(message),
    ]);
  }
  if (!stdin.isTerminal) return await converse(call, { target, port }, stdin.readable());
  if (call.json) throw usageError("Nothing to send", "Give --message TEXT or pipe something in.");
  return await interact(call, target, port);
}

async function send(call: Invocation): Promise<Outcome> {
  const target = call.arg(0, "target");
  const port = parsePort(call.arg(1, "port"));
  return await converse(call, { target, port }, await openPayload(call));
}

/** Arguments that name the peer and its port. */
interface Peer {
  readonly target: string;
  readonly port: number;
  /** Without an answer the command fails. */
  readonly isQuestion?: boolean;
}

/** Sends, then shows the answer. */
async function converse(
  call: Invocation,
  { target, port, isQuestion = false }: Peer,
  source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): Promise<Outcome> {
  const givenMs = call.options.number("timeout");
  const timeoutMs = givenMs ?? TIMEOUT_MS;
  const driver = await call.driver();
  const { signal } = call;
  const conn = await driver.dial(target, port, {
    signal,
    ...(timeoutMs === 0 ? {} : { timeoutMs }),
  });
  const collected = new Collected("The answer");
  const shown = call.json ? undefined : new PassOn(call.host.stdout);
  const fields = ({ sent }: { sent: number }) => ({
    target,
    port,
    sent,
    ...(call.json ? payloadFields(collected.bytes, "response") : {}),
  });
  let sent = 0;
  let exchanged: Exchanged;
  try {
    exchanged = await exchange(conn, {
      source: counting(source, (bytes) => sent += bytes),
      sink: (chunk) => shown === undefined ? collected.add(chunk) : shown.write(chunk),
      timeoutMs,
      endAfterMs: call.options.number("end-after"),
      closeWrite: call.options.flag("close-write"),
      noAnswerMs: isQuestion || givenMs !== undefined ? undefined : NO_ANSWER_MS,
      isEcho: port === PORT_ECHO,
      signal,
    });
    await conn.close({ signal });
  } catch (error) {
    if (error instanceof OutputClosed) {
      conn.abort();
      throw error;
    }
    const failure = PilotError.from(error, "connection_failed");
    if (failure.code !== "timeout") {
      conn.abort();
      throw call.failure(failure.code, failure.message, {
        ...remedyOf(failure),
        data: fields({ sent }),
        cause: failure,
      });
    }
    throw call.failure("timeout", `${target} port ${port}: ${failure.message}`, {
      data: fields({ sent }),
      hint: `${await delivery(conn, sent, signal)} ${
        counted(sent, "byte")
      }. A peer that needs longer: --timeout 2m; one that does not close: --end-after 2s.`,
      cause: failure,
    });
  }
  shown?.end();
  if (exchanged.end === "no answer" && !call.json) {
    const { stderr } = call.host;
    show(stderr, `sent ${counted(sent, "byte")} (no answer within ${NO_ANSWER_MS / 1000} s)`);
  } else if (exchanged.received === 0) call.note(`sent ${counted(sent, "byte")} (no response)`);
  return { data: { ...fields(exchanged), end: exchanged.end } };
}

/** Whether what was sent has arrived although the answer did not. */
async function delivery(conn: Conn, sent: number, signal: AbortSignal): Promise<string> {
  if (sent === 0) return "Sent";
  try {
    await conn.close({ signal });
    return "Delivered";
  } catch {
    // The command has failed already; this only says with how much.
    conn.abort();
    return "Not confirmed as delivered:";
  }
}

/** Counts what is taken from a source. */
async function* counting(
  source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  count: (bytes: number) => void,
): AsyncGenerator<Uint8Array, void> {
  for await (const chunk of source) {
    yield chunk;
    count(chunk.length);
  }
}

/** A session at the terminal: what is typed is sent, what arrives is shown, until either side ends. */
async function interact(call: Invocation, target: string, port: number): Promise<Outcome> {
  const { signal } = call;
  const driver = await call.driver();
  const conn = await driver.dial(target, port, { signal });
  call.note(`Connected to ${target} port ${port}; end with Ctrl-D.`);
  const shown = new PassOn(call.host.stdout);
  try {
    const { sent } = await exchange(conn, {
      source: call.host.stdin.readable(),
      sink: (chunk) => shown.write(chunk),
      timeoutMs: 0,
      endAfterMs: SESSION_END_MS, // after Ctrl-D the answer to the last line still gets its time
      isEcho: port === PORT_ECHO,
      isSession: true,
      signal,
    });
    await conn.close({ signal });
    shown.end();
    return { data: { target, port, sent } };
  } catch (error) {
    conn.abort();
    throw error;
  }
}

async function listen(call: Invocation): Promise<Outcome | undefined> {
  const port = parseListenPort(call.arg(0, "port"));
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
      summary: "Talk to a port: one message, piped input, or an interactive session",
      args: "<target> [port]",
      options: [
        {
          flags: "--message <text>",
          description: "Send this and show the answer; fail without one",
        },
        ...ANSWER_OPTIONS,
      ],
      notes: ANSWER_NOTES,
      examples: [
        "connect alice",
        'connect alice 7 --message "hello"',
        "$ echo hello | pilotctl connect 5 1000",
      ],
      returns: "target, port, sent, response (or response_b64 when it is not text), end",
      run: connect,
    },
    {
      name: "send",
      summary: "Send data of any size to a port and show the answer",
      args: "<target> <port>",
      options: [...PAYLOAD_OPTIONS, ...ANSWER_OPTIONS],
      notes: ANSWER_NOTES,
      examples: [
        'send alice 7 --data "hello"',
        "send 5 1000 --file note.txt",
        "$ tar c docs | pilotctl send alice 6000 --file -",
      ],
      returns: "target, port, sent, response (or response_b64 when it is not text), end",
      run: send,
    },
    {
      name: "recv",
      summary: "Accept connections on a port and output what they send",
      args: "<port>",
      options: [
        {
          flags: "--count <n>",
          description: "Number of connections, 0 for no limit (1)",
          parse: parseCount,
        },
        {
          flags: "--timeout <duration>",
          description:
            "Maximum wait for a connection and, when given, for more data on it; 0 for no limit (30s with a count)",
          parse: parseDuration,
        },
        END_AFTER_OPTION,
      ],
      notes: RECV_NOTES,
      examples: [
        "recv 1000",
        "$ pilotctl recv 6000 | tar x",
        "recv 5000 --count 3 --timeout 2m",
      ],
      returns:
        "messages[{seq, port, from, data (or data_b64 when it is not text), bytes | error, code}], timeout; without end: one object per line",
      run: recv,
    },
    {
      name: "listen",
      summary: "Output the datagrams that arrive on a port",
      args: "<port>",
      options: [
        {
          flags: "--count <n>",
          description: "Number of datagrams, 0 for no limit (0)",
          parse: parseCount,
        },
        COUNT_TIMEOUT_OPTION,
      ],
      examples: ["listen 5000", "listen 5000 --count 1 --timeout 10s --json"],
      returns:
        "messages[{src_addr, src_port, data (or data_b64 when it is not text), bytes}], timeout; without a count: one object per line",
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
