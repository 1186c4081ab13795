/**
 * Text protocol of the nameserver on virtual port 53 (docs/protocol/nameserver.md §1): one request and one reply per
 * connection.
 *
 * @module
 */

import { type Address, formatAddress, MAX_PORT, parseAddress } from "../address.ts";
import { decodeText, encodeText } from "../bytes.ts";
import { type Decoded, DecodeError, PilotError } from "../errors.ts";
import { isLabel } from "../label.ts";

/** Longest name of a nameserver's record, bytes of UTF-8: as in DNS. */
export const MAX_NAME_BYTES = 253;
/** Longest request to a nameserver, bytes: the longest sensible one has about 300 and fits one segment of any path. */
export const MAX_NAME_REQUEST_BYTES = 512;
/** Longest reply of a nameserver, bytes: what existing clients read (docs/protocol/nameserver.md §1). */
export const MAX_NAME_REPLY_BYTES = 65_535;

/** What can be registered: A is name to address, N network name to number, S a provider of a service. */
export type NameRecord =
  | { readonly type: "A"; readonly name: string; readonly address: Address }
  | { readonly type: "N"; readonly name: string; readonly network: number }
  | ({ readonly type: "S"; readonly network: number } & NameProvider);

/** What can be asked. */
export type NameQuestion =
  | { readonly type: "A" | "N"; readonly name: string }
  | { readonly type: "S"; readonly network: number; readonly port: number };

/** A request. */
export type NameRequest =
  | { readonly command: "query"; readonly question: NameQuestion }
  | { readonly command: "register"; readonly record: NameRecord };

/** Who provides a service. */
export interface NameProvider {
  /** Name of the provider. */
  readonly name: string;
  /** Its address. */
  readonly address: Address;
  /** Port of the service, 0..65535. */
  readonly port: number;
}

/** A reply. */
export type NameReply =
  | { readonly kind: "ok" }
  | { readonly kind: "error"; readonly message: string }
  | { readonly kind: "A"; readonly name: string; readonly address: Address }
  | { readonly kind: "N"; readonly name: string; readonly network: number }
  | { readonly kind: "S"; readonly providers: readonly NameProvider[] };

/** Unicode's White_Space, which differs from JavaScript's `\s` in U+0085 and U+FEFF: names must split alike everywhere. */
const SPACE = /[\t-\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+/;

/** What would steer the terminal of who looks at a name. */
const CONTROL = /\p{Cc}/u;

const USAGE = {
  query: { A: "QUERY A <name>", N: "QUERY N <name>", S: "QUERY S <net_id> <port>" },
  register: {
    A: "REGISTER A <name> <address>",
    N: "REGISTER N <name> <net_id>",
    S: "REGISTER S <name> <address> <net_id> <port>",
  },
} as const;

const REQUEST_TOO_LONG = new DecodeError(
  "too_long",
  `request is longer than ${MAX_NAME_REQUEST_BYTES} bytes`,
);
const NAME_TOO_LONG = new DecodeError(
  "too_long",
  `name is longer than ${MAX_NAME_BYTES} bytes`,
);
const BAD_NAME = new DecodeError("malformed", "name holds a control character");
const TOO_FEW = new DecodeError("too_short", "too few fields");
const REPLY_TOO_LONG = new DecodeError(
  "too_long",
  `reply is longer than ${MAX_NAME_REPLY_BYTES} bytes`,
);
const BAD_REPLY = new DecodeError("malformed", "not a reply of a nameserver");

/**
 * Decodes a request. Commands and record types may have any case, names keep theirs; further fields are ignored.
 *
 * @param bytes Everything the client sent.
 * @returns The request, or a {@linkcode DecodeError} whose message is the text for the client; it may quote up to
 * {@linkcode MAX_NAME_REQUEST_BYTES} of the request and is made for it, unlike the errors of the packet path.
 */
export function decodeNameRequest(bytes: Uint8Array): Decoded<NameRequest> {
  if (bytes.length > MAX_NAME_REQUEST_BYTES) return REQUEST_TOO_LONG;
  const text = decodeText(bytes);
  if (text instanceof DecodeError) return text;
  const [commandText, typeText, ...rest] = fieldsOf(text);
  if (commandText === undefined || typeText === undefined) return TOO_FEW;
  const command = commandText.toUpperCase();
  const type = typeText.toUpperCase();
  if (command !== "QUERY" && command !== "REGISTER") {
    return new DecodeError("unknown_type", `unknown command: ${commandText}`);
  }
  if (type !== "A" && type !== "N" && type !== "S") {
    return new DecodeError("unknown_type", `unknown record type: ${typeText}`);
  }
  if (command === "QUERY") {
    const question = type === "S" ? serviceQuestion(rest) : nameQuestion(type, rest);
    return question instanceof DecodeError ? question : { command: "query", question };
  }
  const record = recordOf(type, rest);
  return record instanceof DecodeError ? record : { command: "register", record };
}

/**
 * Encodes a request.
 *
 * @param request The request.
 * @returns Its bytes, without a line end.
 * @throws {PilotError} `invalid_argument` for what is no name ({@linkcode isName}), and for numbers out of range.
 */
export function encodeNameRequest(request: NameRequest): Uint8Array {
  if (request.command === "query") {
    const { question } = request;
    const asked = question.type === "S" ? serviceFields(question) : [checkName(question.name)];
    return encodeText(["QUERY", question.type, ...asked].join(" "));
  }
  const { record } = request;
  const fields = ["REGISTER", record.type, checkName(record.name)];
  if (record.type === "N") fields.push(checkNumber(record.network, "network"));
  else fields.push(formatAddress(record.address));
  if (record.type === "S") fields.push(...serviceFields(record));
  return encodeText(fields.join(" "));
}

/**
 * Decodes a reply.
 *
 * @param bytes Everything the server sent; a line end at its end is allowed.
 * @returns The reply, or a {@linkcode DecodeError}.
 */
export function decodeNameReply(bytes: Uint8Array): Decoded<NameReply> {
  if (bytes.length > MAX_NAME_REPLY_BYTES) return REPLY_TOO_LONG;
  const text = decodeText(bytes);
  if (text instanceof DecodeError) return text;
  const [kind, name, third] = fieldsOf(text);
  switch (kind) {
    case "OK":
      return { kind: "ok" };
    case "ERR":
      return { kind: "error", message: text.trim().slice("ERR".length).trim() };
    case "A": {
      const address = addressOf(third);
      return name === undefined || address === undefined ? BAD_REPLY : { kind, name, address };
    }
    case "N": {
      const network = numberOf(third);
      return name === undefined || network === undefined ? BAD_REPLY : { kind, name, network };
    }
    case "S":
      return decodeProviders(text);
    default:
      return BAD_REPLY;
  }
}

/**
 * Encodes a reply, without a line end.
 *
 * @param reply The reply. Providers beyond {@linkcode MAX_NAME_REPLY_BYTES} are left out.
 * @returns Its bytes.
 */
export function encodeNameReply(reply: NameReply): Uint8Array {
  switch (reply.kind) {
    case "ok":
      return encodeText("OK");
    case "error":
      return encodeText(`ERR ${reply.message}`);
    case "A":
      return encodeText(`A ${reply.name} ${formatAddress(reply.address)}`);
    case "N":
      return encodeText(`N ${reply.name} ${reply.network}`);
    case "S":
      return encodeProviders(reply.providers);
  }
}

/**
 * Whether a text can be a name: 1 to {@linkcode MAX_NAME_BYTES} bytes without white space and control characters.
 *
 * @param text The text.
 * @returns True when it can.
 */
export function isName(text: string): boolean {
  return text !== "" && text.isWellFormed() && !SPACE.test(text) && nameFault(text) === undefined;
}

/**
 * Whether our nameserver lets a name be registered. Existing ones take any; so do our decoders, to understand those.
 *
 * @param text The text.
 * @returns True for labels ({@linkcode isLabel}) with single dots between them, {@linkcode MAX_NAME_BYTES} at most: no
 * two of them look alike.
 */
export function isPlainName(text: string): boolean {
  return text.length <= MAX_NAME_BYTES && text.split(".").every(isLabel);
}

/** What is wrong with a field that is to be a name. */
function nameFault(field: string): DecodeError | undefined {
  if (field.length > MAX_NAME_BYTES || encodeText(field).length > MAX_NAME_BYTES) {
    return NAME_TOO_LONG;
  }
  return CONTROL.test(field) ? BAD_NAME : undefined;
}

function fieldsOf(text: string): string[] {
  return text.split(SPACE).filter((field) => field !== "");
}

function nameQuestion(type: "A" | "N", [name]: string[]): Decoded<NameQuestion> {
  if (name === undefined) return usage("query", type);
  return nameFault(name) ?? { type, name };
}

function serviceQuestion([net, portText]: string[]): Decoded<NameQuestion> {
  if (portText === undefined) return usage("query", "S");
  const network = numberOf(net);
  if (network === undefined) return badNumber("network", net);
  const port = numberOf(portText);
  return port === undefined ? badNumber("port", portText) : { type: "S", network, port };
}

function recordOf(type: "A" | "N" | "S", fields: string[]): Decoded<NameRecord> {
  const needed = { A: 2, N: 2, S: 4 };
  if (fields.length < needed[type]) return usage("register", type);
  const [name = "", second, net, portText] = fields;
  const fault = nameFault(name);
  if (fault !== undefined) return fault;
  if (type === "N") {
    const network = numberOf(second);
    return network === undefined ? badNumber("network", second) : { type, name, network };
  }
  const address = addressOf(second);
  if (address === undefined) return new DecodeError("malformed", `invalid address "${second}"`);
  if (type === "A") return { type, name, address };
  const network = numberOf(net);
  if (network === undefined) return badNumber("network", net);
  const port = numberOf(portText);
  if (port === undefined) return badNumber("port", portText);
  return { type, name, address, network, port };
}

function usage(command: "query" | "register", type: "A" | "N" | "S"): DecodeError {
  return new DecodeError("too_short", `usage: ${USAGE[command][type]}`);
}

function badNumber(what: "network" | "port", text: string | undefined): DecodeError {
  return new DecodeError("malformed", `invalid ${what} "${text}"`);
}

function numberOf(text: string | undefined): number | undefined {
  const value = text !== undefined && /^\d+$/.test(text) ? Number(text) : Infinity;
  return value <= MAX_PORT ? value : undefined;
}

function addressOf(text: string | undefined): Address | undefined {
  try {
    return parseAddress(text ?? "");
  } catch {
    // It has only one complaint: that this is not an address.
    return undefined;
  }
}

function decodeProviders(text: string): Decoded<NameReply> {
  const providers: NameProvider[] = [];
  for (const line of text.split("\n")) {
    const [kind, name, third, fourth] = fieldsOf(line);
    // A bare "S" has no provider; white space at the end is not one either.
    if (kind === undefined || (kind === "S" && name === undefined)) continue;
    const address = addressOf(third);
    const port = numberOf(fourth);
    if (kind !== "S" || name === undefined || address === undefined || port === undefined) {
      return BAD_REPLY;
    }
    providers.push({ name, address, port });
  }
  return { kind: "S", providers };
}

function encodeProviders(providers: readonly NameProvider[]): Uint8Array {
  const lines: string[] = [];
  let bytes = -1; // no line feed before the first line
  for (const { name, address, port } of providers) {
    const line = `S ${name} ${formatAddress(address)} ${port}`;
    bytes += 1 + encodeText(line).length;
    if (bytes > MAX_NAME_REPLY_BYTES) break;
    lines.push(line);
  }
  return encodeText(lines.length === 0 ? "S" : lines.join("\n"));
}

function checkName(name: string): string {
  if (isName(name)) return name;
  throw new PilotError("invalid_argument", `Not a name: "${name}"`, {
    hint: `A name has 1 to ${MAX_NAME_BYTES} bytes, no white space and no control characters.`,
  });
}

function serviceFields({ network, port }: { network: number; port: number }): string[] {
  return [checkNumber(network, "network"), checkNumber(port, "port")];
}

function checkNumber(value: number, what: "network" | "port"): string {
  if (Number.isInteger(value) && value >= 0 && value <= MAX_PORT) return String(value);
  throw new PilotError("invalid_argument", `Not a ${what}: ${value}`);
}
