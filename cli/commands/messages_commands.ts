/**
 * Messages and files: `send-message`, `send-file`, `inbox`, `received` (docs/protocol/services.md §2,
 * docs/protocol/command-line.md §4).
 *
 * @module
 */

import { join } from "node:path";
import { formatAddress } from "../../protocol/address.ts";
import { PilotError } from "../../protocol/errors.ts";
import type { StreamFile } from "../../sdk/mod.ts";
import { usageError } from "../command_failure.ts";
import type { Invocation } from "../invocation.ts";
import {
  clearMailbox,
  listReceived,
  readInbox,
  readOne,
  removeOne,
  type StoredMessage,
} from "../mailbox.ts";
import { counted, fields, formatBytes, type Outcome, round, table } from "../output.ts";
import { Names } from "../peer_labels.ts";
import { oneOf, parseCount, parseDuration } from "../parse.ts";
import { PAYLOAD_OPTIONS, readPayload } from "../payload.ts";
import { ProgressBar } from "../progress.ts";
import type { CommandGroup } from "../spec.ts";
import { passOn, printable, safe } from "../terminal_text.ts";

/** Messages shown when nothing is said; the inbox may hold 10 000. */
const INBOX_LIMIT = 100;
/** Characters of a message in the table. */
const PREVIEW_LENGTH = 60;

async function sendMessage(call: Invocation): Promise<Outcome> {
  const target = call.arg(0, "target");
  const type = (call.options.text("type") ?? "text") as "text" | "json" | "binary";
  const payload = await readPayload(call);
  const timeoutMs = call.options.number("timeout");
  const driver = await call.driver();
  const receipt = await driver.sendMessage(target, payload, {
    type,
    signal: call.signal,
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
  });
  return {
    data: { target, type: receipt.type, bytes: receipt.bytes, ack: receipt.ack },
    text: `Delivered ${counted(receipt.bytes, "byte")} to ${
      formatAddress(receipt.address)
    } (${receipt.ack})`,
  };
}

/** Standard input as a file: stored first, because its hash leads the transfer. */
function pipedFile(call: Invocation, name: string | undefined): StreamFile {
  if (name === undefined) {
    throw usageError(
      "Standard input has no name",
      "Give one: pilotctl send-file TARGET - --name NAME",
    );
  }
  if (call.host.stdin.isTerminal) {
    throw usageError("Nothing to send: standard input is a terminal", "Pipe the content in.");
  }
  return { stream: call.host.stdin.readable(), name };
}

async function sendFile(call: Invocation): Promise<Outcome> {
  const target = call.arg(0, "target");
  const path = call.arg(1, "path");
  const name = call.options.text("name");
  const file = path === "-" ? pipedFile(call, name) : path;
  const timeoutMs = call.options.number("timeout");
  const { stderr } = call.host;
  const driver = await call.driver();
  const started = performance.now();
  using bar = new ProgressBar(
    stderr.isTerminal && !call.json ? stderr : undefined,
    name ?? path.split("/").at(-1) ?? path,
  );
  const receipt = await driver.sendFile(target, file, {
    signal: call.signal,
    onProgress: ({ bytes, total }) => bar.update(bytes, total),
    ...(name === undefined ? {} : { name }),
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
  }).catch((error) => {
    if (!call.signal.aborted) throw error;
    throw new PilotError("aborted", `Sending ${path} was interrupted`, {
      hint: "The same command resumes where it stopped.",
      cause: error,
    });
  });
  const elapsed = performance.now() - started;
  const sent = receipt.bytes - receipt.resumed;
  const data = {
    filename: receipt.name,
    bytes: receipt.bytes,
    destination: formatAddress(receipt.address),
    ack: receipt.ack,
    bytes_sent: sent,
    bytes_resumed: receipt.resumed,
    sha256: receipt.sha256,
    verified: receipt.verified,
    transport: receipt.transport,
    elapsed_ms: round(elapsed, 1),
    throughput_mb_s: round(sent / 1e6 / (elapsed / 1000), 2),
  };
  const text = fields([
    ["File", `${receipt.name} (${formatBytes(receipt.bytes)})`],
    ["To", data.destination],
    ["SHA-256", `${receipt.sha256}${receipt.verified ? " (verified by the receiver)" : ""}`],
    ["Resumed", receipt.resumed === 0 ? "" : formatBytes(receipt.resumed)],
    ["Took", `${round(elapsed / 1000, 2)} s, ${data.throughput_mb_s} MB/s`],
  ]);
  return { data, text };
}

async function inboxDir(call: Invocation): Promise<string> {
  return join((await call.settings()).home, "inbox");
}

async function inbox(call: Invocation): Promise<Outcome> {
  const dir = await inboxDir(call);
  const [verb, id, ...rest] = call.args;
  if (verb === "clear" || (verb === undefined && call.options.flag("clear"))) {
    if (id !== undefined) {
      throw usageError(`Unexpected argument: ${id}`, "One message: pilotctl inbox remove ID");
    }
    const cleared = await clearMailbox(dir, "messages", {
      beforeMs: timeOption(call, "before"),
      from: await fromOption(call),
    });
    return { data: { cleared }, text: `Removed ${counted(cleared, "message")}` };
  }
  if (verb === "read" || verb === "remove") {
    if (id === undefined || rest.length > 0) {
      throw usageError(`Give one message id: pilotctl inbox ${verb} ID`);
    }
    if (verb === "remove") {
      const removed = await removeOne(dir, id);
      return { data: { removed }, text: `Removed ${removed}` };
    }
    return showMessage(call, await readOne(dir, id));
  }
  if (verb !== undefined && verb !== "list") {
    throw usageError(`Unknown argument: ${verb}`, "Use list, read ID, remove ID or clear.");
  }
  return await listInbox(call, dir);
}

async function listInbox(call: Invocation, dir: string): Promise<Outcome> {
  const { messages, total } = await readInbox(dir, {
    limit: call.options.flag("latest") ? 1 : call.options.number("limit") ?? INBOX_LIMIT,
    from: await fromOption(call),
    sinceMs: timeOption(call, "since"),
  });
  const data = { messages, total, shown: messages.length, dir };
  if (messages.length === 0) return { data, text: call.style.dim("No messages") };
  const names = await Names.known(call);
  const rows = messages.map((message) => [
    message.id,
    names.behind(String(message.from)),
    message.type,
    message.bytes,
    preview(message),
  ]);
  const rest = total > messages.length
    ? safe`\n... and ${total - messages.length} older, see --limit`
    : "";
  const list = table(["ID", "FROM", "TYPE", "BYTES", "MESSAGE"], rows, call.style);
  return { data, text: safe`${list}${rest}` };
}

function preview(message: StoredMessage): string {
  if (message.data_encoding === "base64") return "(binary)";
  const text = printable(message.data);
  return text.length <= PREVIEW_LENGTH ? text : `${text.slice(0, PREVIEW_LENGTH - 3)}...`;
}

function showMessage(call: Invocation, message: StoredMessage): Outcome {
  if (call.json) return { data: message };
  const base64 = message.data_encoding === "base64" ? message.data_b64 ?? message.data : undefined;
  if (typeof base64 === "string") {
    passOn(call.host.stdout, Uint8Array.fromBase64(base64));
    return { data: message, silent: true };
  }
  const text = String(message.data ?? "");
  passOn(call.host.stdout, new TextEncoder().encode(text.replace(/\n?$/, "\n")));
  return { data: message, silent: true };
}

/** `--from`: an address as it is, anything else by asking the daemon. */
async function fromOption(call: Invocation): Promise<string | undefined> {
  const from = call.options.text("from");
  if (from === undefined || from.includes(":")) return from;
  return formatAddress(await (await call.driver()).resolveTarget(from, { signal: call.signal }));
}

/** A point in time given as a duration before now (`10m`) or as RFC 3339. */
function timeOption(call: Invocation, name: string): number | undefined {
  const text = call.options.text(name);
  if (text === undefined) return undefined;
  const absolute = /^\d{4}-\d\d/.test(text) ? Date.parse(text) : Date.now() - parseDuration(text);
  if (Number.isNaN(absolute)) {
    throw usageError(
      `Option --${name}: not a time: "${text}"`,
      "Write 10m or 2026-11-21T12:00:00Z.",
    );
  }
  return absolute;
}

async function received(call: Invocation): Promise<Outcome> {
  const dir = join((await call.settings()).home, "received");
  const verb = call.args[0];
  if (verb === "clear" || (verb === undefined && call.options.flag("clear"))) {
    const cleared = await clearMailbox(dir, "files", { beforeMs: timeOption(call, "before") });
    return { data: { cleared }, text: `Removed ${counted(cleared, "file")}` };
  }
  if (verb !== undefined && verb !== "list") {
    throw usageError(`Unknown argument: ${verb}`, "Use list or clear.");
  }
  const files = await listReceived(dir);
  const data = { files, total: files.length, dir };
  if (files.length === 0) return { data, text: call.style.dim("No files") };
  const rows = files.map((file) => [file.modified, formatBytes(file.bytes), file.path]);
  return { data, text: table(["RECEIVED", "SIZE", "PATH"], rows, call.style) };
}

/** Messages and files. */
export const messagesGroup: CommandGroup = {
  title: "Messages and files",
  commands: [
    {
      name: "send-message",
      summary: "Send a message to a node's inbox",
      args: "<target>",
      options: [
        ...PAYLOAD_OPTIONS,
        {
          flags: "--type <type>",
          description: "text, json or binary (text)",
          parse: oneOf("text", "json", "binary"),
        },
        { flags: "--timeout <duration>", description: "Maximum time (60s)", parse: parseDuration },
      ],
      examples: [
        'send-message alice --data "hello"',
        "send-message 5 --type json --file request.json",
        "$ echo hello | pilotctl send-message alice",
      ],
      returns: "target, type, bytes, ack",
      run: sendMessage,
    },
    {
      name: "send-file",
      summary: "Send a file of any size, checked with SHA-256 and resumed after an interruption",
      args: "<target> <path>",
      options: [
        {
          flags: "--name <name>",
          description:
            "File name that the receiver gets (the file's own); also for names that are not UTF-8",
        },
        {
          flags: "--timeout <duration>",
          description: "Maximum time (no limit while data moves)",
          parse: parseDuration,
        },
      ],
      notes:
        "With - as path, the content is read from standard input to its end, and --name is required.",
      examples: [
        "send-file alice ./report.pdf",
        "$ tar c docs | pilotctl send-file alice - --name docs.tar",
      ],
      returns:
        "filename, bytes, destination, ack, bytes_sent, bytes_resumed, sha256, verified, transport, elapsed_ms, throughput_mb_s",
      run: sendFile,
    },
    {
      name: "inbox",
      summary: "List, read or remove received messages",
      args: "[action] [id]",
      options: [
        {
          flags: "--limit <n>",
          description: `Newest messages to list, 0 for all (${INBOX_LIMIT})`,
          parse: parseCount,
        },
        { flags: "--latest", description: "Only the newest message" },
        { flags: "--from <target>", description: "Only from this node" },
        {
          flags: "--since <time>",
          description: "Only messages newer than this (10m, 2h, or an RFC 3339 time)",
        },
        {
          flags: "--clear",
          description: "Remove all messages (same as: inbox clear), with --from those of one node",
        },
        { flags: "--before <time>", description: "With clear: only those older than this" },
      ],
      examples: [
        "inbox",
        "inbox --from alice --since 10m",
        "inbox read TEXT-20261121",
        "inbox clear --before 24h",
        "inbox clear --from alice",
      ],
      returns:
        "messages[{id, type, from, data, bytes, received_at}], total, shown, dir; read: the message; remove: removed; clear: cleared",
      run: inbox,
    },
    {
      name: "received",
      summary: "List or remove received files",
      args: "[action]",
      options: [
        { flags: "--clear", description: "Remove all files (same as: received clear)" },
        { flags: "--before <time>", description: "With clear: only those older than this" },
      ],
      examples: ["received", "received clear --before 24h"],
      returns: "files[{name, bytes, modified, path}], total, dir; clear: cleared",
      run: received,
    },
  ],
};
