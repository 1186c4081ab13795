/**
 * A client of the registry's JSON mode (docs/protocol/registry.md §1): one TCP connection, requests pipelined, replies
 * matched by order, reconnected on demand.
 *
 * @module
 */

import type { Advice } from "../protocol/advice.ts";
import { decodeBase64, encodeBase64 } from "../protocol/crypto/base64.ts";
import { isUsablePublicKey } from "../protocol/crypto/verify_signature.ts";
import { DecodeError, PilotError } from "../protocol/errors.ts";
import { parseEndpoint } from "../protocol/ip.ts";
import {
  encodeJsonFrame,
  errorCodeOf,
  JsonFrameReader,
  type JsonObject,
  readReply,
  type RegistryErrorCode,
  type RegistryRequest,
} from "../protocol/registry/registry_message.ts";
import {
  answerProblem,
  SIGN_NONCE_BYTES,
  SIGNED_REQUESTS,
} from "../protocol/registry/signed_answer.ts";
import { type WholeOffer, wholeOfferOf } from "../protocol/registry/whole_signature.ts";
import { ConnectionSigner, type RequestSigner } from "./registry_auth.ts";
import type { Clock } from "./clock.ts";
import { Deadline } from "./waiting.ts";
import { TaskSet } from "./task_set.ts";
import { isTlsAlert, openLink, type RegistryLink } from "./registry_link.ts";

/** Longest wait for a TCP connection (docs/protocol/registry.md §1.6). */
export const CONNECT_TIMEOUT_MS = 5_000;
/** Longest wait for a reply; after it the order of replies is lost, so the connection goes. */
export const REPLY_TIMEOUT_MS = 10_000;
/** Requests without a reply. */
export const MAX_OUTSTANDING = 1_024;

/**
 * Times a request is signed before its refusal counts: once without a challenge, once with it, and again as it may
 * just then have been replaced.
 */
export const CHALLENGE_ATTEMPTS = 3;
const COMPARE_KEY: Advice = { id: "compare_registry_key" };
const PIN_CERTIFICATE: Advice = { id: "pin_certificate" };

/** Why a connection has ended, and what to do about it; default: see whether the registry runs. */
interface Ending {
  readonly reason: string;
  readonly advice?: Advice | undefined;
}

/**
 * Parts of the error texts of registries that send no code, and what they mean; anything else is a refusal whose reason
 * is hidden (docs/protocol/registry.md §3).
 */
const CODES_BY_TEXT: readonly [string, RegistryErrorCode][] = [
  ["whole request required", "protocol_error"], // not "denied": that means a refusal by right
  ["cannot write its store", "unavailable"], // ours: it may be asked again
  ["not found", "not_found"],
  ["already", "already_exists"],
  ["rate limited", "limit_exceeded"],
  ["too many", "limit_exceeded"],
  ["too long", "invalid_argument"],
  ["invalid", "invalid_argument"],
  ["required", "invalid_argument"],
];

interface Outstanding {
  readonly resolve: (reply: JsonObject) => void;
  readonly reject: (error: PilotError) => void;
  readonly cancelTimeout: () => void;
}

/** Who waits for a reply, before its request is sent. */
interface Waiting extends Omit<Outstanding, "cancelTimeout"> {
  /** Called when it is sent: starts the timeout, and gives what cancels it. */
  readonly start: () => () => void;
}

/** One connection and the requests on it. */
class Connection {
  readonly #conn: RegistryLink;
  readonly #outstanding: Outstanding[] = [];
  #writing: Promise<unknown> = Promise.resolve();
  readonly #signer = new ConnectionSigner();
  /** Settles when the last request so far is signed. */
  #signing: Promise<unknown> = Promise.resolve();
  /** Requests that wait to be signed. */
  #unsigned = 0;
  /** Settles when the connection has ended and everything on it was rejected. */
  readonly done: Promise<void>;
  isClosed = false;
  /** Why it ended when no reason is known: one that ends before its first answer usually wants TLS. */
  #silent: Ending = {
    reason:
      "the registry closed the connection without an answer, as a registry that speaks TLS does",
    advice: PIN_CERTIFICATE,
  };
  #ending: Ending | undefined;

  constructor(conn: RegistryLink) {
    this.#conn = conn;
    this.done = this.#read();
  }

  get outstanding(): number {
    return this.#outstanding.length + this.#unsigned;
  }

  /** Takes the registry's data for signatures over whole requests. */
  adopt(offer: WholeOffer): void {
    this.#signer.adopt(offer);
  }

  /**
   * Sends a request, signed as a whole if there is a signer: then after those before it, as their counts must arrive in
   * order.
   *
   * @returns The request as it was sent.
   */
  async submit(
    request: JsonObject,
    signer: RequestSigner | undefined,
    waiting: Waiting,
  ): Promise<JsonObject> {
    if (signer === undefined) {
      this.#send(request, waiting);
      return request;
    }
    this.#unsigned++;
    const sent = this.#signing.then(async () => {
      const signed = await this.#signer.sign(request, signer);
      if (this.isClosed) throw unavailable(this.#ending ?? this.#silent);
      this.#send(signed, waiting);
      return signed;
    }).finally(() => this.#unsigned--);
    this.#signing = sent.catch(() => {
      // The caller has this error; the next request is not affected.
    });
    return await sent;
  }

  #send(request: JsonObject, { resolve, reject, start }: Waiting): void {
    const frame = encodeJsonFrame(request);
    this.#outstanding.push({ resolve, reject, cancelTimeout: start() });
    this.#writing = this.#writing.then(() => this.#conn.write(frame))
      .catch((error) => this.close(error instanceof Error ? error.message : String(error)));
  }

  /** Ends the connection; requests on it fail for this reason. */
  close(reason: string, advice?: Advice): void {
    if (this.isClosed) return;
    this.#ending = { reason, advice };
    this.isClosed = true;
    this.#conn.close();
  }

  async #read(): Promise<void> {
    const reader = new JsonFrameReader();
    const buffer = new Uint8Array(65_536);
    try {
      for (let isFirst = true;; isFirst = false) {
        const bytes = await this.#conn.read(buffer);
        if (bytes === null) break;
        if (isFirst && isTlsAlert(buffer.subarray(0, bytes))) {
          this.close("it speaks TLS, but was asked in plain TCP", PIN_CERTIFICATE);
          break;
        }
        this.#silent = { reason: "the registry closed the connection" };
        reader.push(buffer.subarray(0, bytes));
        let reply = reader.next();
        for (; reply !== undefined && !(reply instanceof DecodeError); reply = reader.next()) {
          const request = this.#outstanding.shift();
          request?.cancelTimeout();
          request?.resolve(reply);
        }
        if (reply instanceof DecodeError) {
          this.close(`the registry sent an invalid frame (${reply.message})`);
          break;
        }
      }
    } catch (error) {
      this.close(error instanceof Error ? error.message : String(error));
    }
    const ending = this.#ending ?? this.#silent;
    this.close(ending.reason, ending.advice);
    await this.#conn.closed;
    for (const request of this.#outstanding.splice(0)) {
      request.cancelTimeout();
      request.reject(unavailable(ending));
    }
  }
}

/** Which registry a {@linkcode RegistryClient} asks, and how it knows it. */
export interface RegistryClientOptions {
  /** `host:port`. */
  readonly address: string;
  readonly clock: Clock;
  /** Speak TLS, with the certificate that has this fingerprint: SHA-256, 64 lowercase hex digits. */
  readonly fingerprint?: string | undefined;
  /** The registry's key, base64: answers to {@linkcode SIGNED_REQUESTS} must then be signed with it. */
  readonly pinnedKey?: string | undefined;
  /** Longest wait for a connection, milliseconds; default {@linkcode CONNECT_TIMEOUT_MS}. */
  readonly connectTimeoutMs?: number | undefined;
  /** Longest wait for a reply, milliseconds; default {@linkcode REPLY_TIMEOUT_MS}. */
  readonly replyTimeoutMs?: number | undefined;
}

/** Client of one registry. */
export class RegistryClient {
  /** `host:port` of the registry. */
  readonly address: string;
  readonly #clock: Clock;
  readonly #fingerprint: string | undefined;
  readonly #pinnedKey: Uint8Array | undefined;
  readonly #connectTimeoutMs: number;
  readonly #replyTimeoutMs: number;
  #connection: Connection | undefined;
  #connecting: Promise<Connection> | undefined;
  /** Cancels the connection attempt in progress. */
  readonly #closing = new AbortController();
  readonly #ending = new TaskSet();

  constructor(options: RegistryClientOptions) {
    this.address = options.address;
    this.#clock = options.clock;
    this.#fingerprint = options.fingerprint;
    this.#connectTimeoutMs = options.connectTimeoutMs ?? CONNECT_TIMEOUT_MS;
    this.#replyTimeoutMs = options.replyTimeoutMs ?? REPLY_TIMEOUT_MS;
    this.#pinnedKey = options.pinnedKey === undefined ? undefined : pinned(options.pinnedKey);
  }

  /** There is a connection. */
  get isConnected(): boolean {
    return this.#connection !== undefined && !this.#connection.isClosed;
  }

  /** Our address as the registry's TCP connection shows it; undefined while there is none. */
  localHost: string | undefined;

  /** Called for each new connection, with the address at which the registry answers. */
  onConnected: (remoteHost: string) => void = () => {};

  /**
   * Sends a request and waits for its reply. A request lost with its connection is sent again: every request a
   * daemon makes may be repeated without harm.
   *
   * @param request The request, `type` included.
   * @param signer Signs the whole request for registries that check that, each time it is sent; undefined for requests
   * that anyone may make.
   * @returns The reply.
   * @throws {PilotError} `unavailable` when the registry cannot be reached or does not answer; `untrusted` when it
   * shows another certificate or its answer is not signed with the pinned key; otherwise the code of the registry's
   * error reply, see {@linkcode RegistryErrorCode}.
   */
  async request(request: JsonObject, signer?: RequestSigner): Promise<JsonObject> {
    const wasConnected = this.isConnected;
    try {
      return await this.#once(request, signer);
    } catch (error) {
      const isLost = error instanceof PilotError && error.code === "unavailable";
      if (!isLost || !wasConnected || this.#closed) throw error;
      return await this.#once(request, signer);
    }
  }

  /**
   * Makes a request as its schema has it, see {@linkcode RegistryClient.request}.
   *
   * @param request What it is.
   * @param fields Its fields.
   * @param by `signature`: base64 over the request's text; `signer`: signs the whole. Neither for requests that anyone
   * may make.
   * @returns The reply, its fields of the types that they must have, whatever the registry has sent.
   */
  async call<F extends object, R extends object>(
    request: RegistryRequest<F, R>,
    fields: F,
    by: { signature?: string | undefined; signer?: RequestSigner | undefined } = {},
  ): Promise<R & JsonObject> {
    const { signature, signer } = by;
    const message = {
      type: request.type,
      ...fields,
      ...(signature === undefined ? {} : { signature }),
    };
    return readReply(request, await this.request(message, signer));
  }

  /** Ends the connection, and lets the next request open another one: this one may lead nowhere any more. */
  reconnect(reason: string): void {
    this.#connection?.close(reason);
  }

  /** Ends the connection; requests under way fail with `unavailable`. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#connecting?.catch(() => {
      // It fails because we close.
    });
    this.#connection?.close("this client is closed");
    await this.#ending.settled();
  }

  get #closed(): boolean {
    return this.#closing.signal.aborted;
  }

  async #once(request: JsonObject, signer: RequestSigner | undefined): Promise<JsonObject> {
    for (let left = CHALLENGE_ATTEMPTS;; left--) {
      const connection = await this.#connect();
      const reply = await this.#exchange(connection, request, signer);
      const offer = signer === undefined ? undefined : wholeOfferOf(reply);
      if (offer !== undefined && left > 1) {
        this.#adopt(connection, offer);
        continue;
      }
      if (typeof reply.error === "string") throw registryFailure(String(request.type), reply);
      return reply;
    }
  }

  /** The registry wants the whole request signed, for a challenge that we did not know. */
  #adopt(connection: Connection, offer: WholeOffer): void {
    const pinned = this.#pinnedKey;
    if (pinned !== undefined && offer.key !== encodeBase64(pinned)) {
      throw new PilotError(
        "untrusted",
        `The registry ${this.address} has another key than the pinned one`,
        { advice: COMPARE_KEY },
      );
    }
    connection.adopt(offer);
  }

  async #exchange(
    connection: Connection,
    request: JsonObject,
    signer: RequestSigner | undefined,
  ): Promise<JsonObject> {
    if (connection.outstanding >= MAX_OUTSTANDING) {
      throw new PilotError(
        "limit_exceeded",
        `${MAX_OUTSTANDING} registry requests are waiting already`,
      );
    }
    const isSigned = this.#pinnedKey !== undefined && SIGNED_REQUESTS.has(String(request.type));
    const sent = isSigned ? { ...request, sign: nonce() } : request;
    const { promise, resolve, reject } = Promise.withResolvers<JsonObject>();
    const start = () =>
      this.#clock.after(
        this.#replyTimeoutMs,
        () => connection.close(`no answer in ${this.#replyTimeoutMs} ms`),
      );
    const asked = await connection.submit(sent, signer, { resolve, reject, start });
    const reply = await promise;
    if (isSigned) await this.#checkSignature(asked, reply);
    if (isSigned) delete reply.signed; // it has done its work, and means nothing without the request
    return reply;
  }

  /** Refusals must be signed, too: forged ones would decide which peers we can reach. */
  async #checkSignature(request: JsonObject, reply: JsonObject): Promise<void> {
    const problem = await answerProblem(this.#pinnedKey!, request, reply);
    if (problem === undefined) return;
    throw new PilotError(
      "untrusted",
      `The answer of the registry ${this.address} to ${
        String(request.type)
      } is refused: ${problem}`,
      { advice: COMPARE_KEY },
    );
  }

  async #connect(): Promise<Connection> {
    if (this.#closed) throw unavailable({ reason: "this client is closed" });
    if (this.#connection !== undefined && !this.#connection.isClosed) return this.#connection;
    this.#connecting ??= this.#open().finally(() => this.#connecting = undefined);
    return await this.#connecting;
  }

  async #open(): Promise<Connection> {
    const to = parseEndpoint(this.address);
    const deadline = new Deadline(this.#clock, this.#connectTimeoutMs, this.#closing.signal);
    const { signal } = deadline;
    try {
      const conn = await openLink({ to, fingerprint: this.#fingerprint, signal });
      this.localHost = conn.localHost;
      const connection = new Connection(conn);
      this.#ending.add(connection.done);
      this.#connection = connection;
      if (this.#closed) connection.close("this client is closed");
      else this.onConnected(conn.remoteHost);
      return connection;
    } catch (error) {
      if (error instanceof PilotError) throw error;
      const reason = signal.aborted
        ? "no answer"
        : error instanceof Error
        ? error.message
        : String(error);
      throw unavailable({ reason: `${this.address}: ${reason}` }, error);
    } finally {
      deadline.clear();
    }
  }
}

function nonce(): string {
  return encodeBase64(crypto.getRandomValues(new Uint8Array(SIGN_NONCE_BYTES)));
}

function pinned(text: string): Uint8Array {
  const key = decodeBase64(text);
  if (key !== undefined && isUsablePublicKey(key)) return key;
  throw new PilotError("invalid_argument", `Not a public key of a registry: "${text}"`, {
    advice: { id: "read_registry_key" },
  });
}

function unavailable({ reason, advice }: Ending, cause?: unknown): PilotError {
  return new PilotError("unavailable", `Registry is not reachable: ${reason}`, {
    advice: advice ?? { id: "check_registry" },
    cause,
  });
}

/** What a refusal names: `node 7: node not found`, `hostname "x" not found`. */
const NOT_FOUND = /^(?:(node|network) (\d+): .*|(hostname) (".*")) ?not found$/;

/**
 * Does the registry say that it does not know a node, or not now?
 *
 * @param error What a request failed with.
 * @param node Node number.
 */
export function saysAbsent(error: unknown, node: number): boolean {
  return error instanceof PilotError && error.code === "not_found" &&
    error.message === registryFailure("", { error: `node ${node}: not found` }).message;
}

/**
 * What a refusal of the registry means.
 *
 * @param type The request that was refused.
 * @param reply The error reply: `error` is its text; its `code` counts where a registry sends one.
 * @returns The error for the caller.
 */
export function registryFailure(type: string, reply: JsonObject): PilotError {
  const text = String(reply["error"]);
  const code = errorCodeOf(reply) ??
    CODES_BY_TEXT.find(([part]) => text.includes(part))?.[1] ?? "denied";
  if (code === "not_found") {
    const [, number, id, hostname, name] = NOT_FOUND.exec(text) ?? [];
    const kind = number ?? hostname;
    const message = kind === undefined
      ? `Not found in the registry: ${text}`
      : `${kind[0]!.toUpperCase()}${kind.slice(1)} ${id ?? name} not found in the registry`;
    if (kind === "network") {
      return new PilotError(code, message, { advice: { id: "list_networks" } });
    }
    return new PilotError(code, message, {
      hint:
        "It may be private: names and endpoints of private nodes are shown to trusted peers only.",
    });
  }
  const isMasked = text === "request failed";
  return new PilotError(code, `Registry refused ${type}: ${text}`, {
    ...(isMasked
      ? { hint: "The registry gives no reason; usually the caller lacks member or admin rights." }
      : {}),
  });
}
