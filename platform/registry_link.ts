/**
 * Connections to the registry: plain TCP, or TLS with a pinned certificate (docs/protocol/registry.md §1.5).
 *
 * @module
 */

import { createHash } from "node:crypto";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { TlsStream } from "./tls_stream.ts";
import { PilotError } from "../protocol/errors.ts";
import { type Endpoint, formatEndpoint } from "../protocol/ip.ts";

/** A stream of bytes to the registry and back. */
export interface RegistryLink {
  /** Our address on it. */
  readonly localHost: string;
  /** The registry's address on it: one of those that its name has. */
  readonly remoteHost: string;
  /** Reads some bytes into the buffer. Null at the end; rejects when the link broke or was closed. */
  read(buffer: Uint8Array): Promise<number | null>;
  /** Writes all of it. */
  write(data: Uint8Array): Promise<void>;
  /** Ends it at once; again does nothing. */
  close(): void;
  /** Resolves when nothing of it is left after {@linkcode RegistryLink.close}. */
  readonly closed: Promise<void>;
}

/** How {@linkcode openLink} connects. */
export interface LinkOptions {
  readonly to: Endpoint;
  /** SHA-256 of the certificate that must be shown, 64 lowercase hex digits; undefined is plain TCP. */
  readonly fingerprint: string | undefined;
  /** Gives up. */
  readonly signal: AbortSignal;
  /** The settings that advice names; default those of the daemon. */
  readonly settings?: LinkSettings | undefined;
}

/** Names of the settings for the registry's TLS. */
export interface LinkSettings {
  /** Sets the fingerprint. */
  readonly fingerprint: string;
  /** To be left out for a registry without TLS. */
  readonly tls: string;
}

const DAEMON_SETTINGS: LinkSettings = { fingerprint: "registryFingerprint", tls: "registryTls" };

/**
 * Is it the beginning of what a TLS server answers to something else than TLS (an alert, RFC 8446 §5.1)? As the length
 * of a frame it is far too long.
 */
export function isTlsAlert(bytes: Uint8Array): boolean {
  return bytes.length >= 2 && bytes[0] === 0x15 && bytes[1] === 0x03;
}

/**
 * Connects to a registry. With a fingerprint nothing is sent before the certificate is known to be the pinned one; who
 * issued it and for which name plays no part. That the server holds its key is what TLS itself proves.
 *
 * @param options Where, and the pin.
 * @returns The link.
 * @throws {PilotError} `untrusted` for another certificate, `unavailable` for a server that speaks no TLS. What else
 * goes wrong is thrown as it is.
 */
export async function openLink(options: LinkOptions): Promise<RegistryLink> {
  const { to, fingerprint, signal } = options;
  if (fingerprint !== undefined) return await openTls({ ...options, fingerprint });
  return new TcpLink(await Deno.connect({ hostname: to.host, port: to.port, signal }));
}

class TcpLink implements RegistryLink {
  readonly localHost: string;
  readonly remoteHost: string;
  readonly closed: Promise<void> = Promise.resolve();
  readonly #conn: Deno.TcpConn;
  #isClosed = false;

  constructor(conn: Deno.TcpConn) {
    conn.setNoDelay(true);
    this.#conn = conn;
    this.localHost = conn.localAddr.hostname;
    this.remoteHost = conn.remoteAddr.hostname;
  }

  read(buffer: Uint8Array): Promise<number | null> {
    return this.#conn.read(buffer);
  }

  async write(data: Uint8Array): Promise<void> {
    for (let at = 0; at < data.length;) at += await this.#conn.write(data.subarray(at));
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#conn.close();
  }
}

/** Node's TLS, because Deno's own can judge a certificate by its issuer only. */
async function openTls(
  { to, fingerprint, signal, settings = DAEMON_SETTINGS }: LinkOptions & { fingerprint: string },
): Promise<RegistryLink> {
  const where = formatEndpoint(to);
  // The certificate is compared below instead.
  const socket = connectTls({ host: to.host, port: to.port, rejectUnauthorized: false });
  const stream = new TlsStream(socket);
  let isConnected = false;
  socket.once("connect", () => isConnected = true);
  const abort = () => stream.close();
  signal.addEventListener("abort", abort, { once: true });
  if (signal.aborted) abort();
  try {
    await stream.handshake("secureConnect");
    checkCertificate(socket, { where, fingerprint, setting: settings.fingerprint });
    socket.setNoDelay(true);
    return new TlsLink(stream, socket);
  } catch (error) {
    stream.close();
    await stream.closed;
    if (error instanceof PilotError || !isConnected || signal.aborted) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new PilotError("unavailable", `No TLS with the registry ${where}: ${reason}`, {
      cause: error,
      advice: { id: "check_tls", setting: settings.tls },
    });
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

function checkCertificate(
  socket: TLSSocket,
  { where, fingerprint, setting }: { where: string; fingerprint: string; setting: string },
): void {
  const { raw } = socket.getPeerCertificate();
  const shown = raw === undefined ? "none" : createHash("sha256").update(raw).digest("hex");
  if (shown === fingerprint) return;
  throw new PilotError(
    "untrusted",
    `The registry ${where} presents another certificate than the pinned one: ${shown}, not ${fingerprint}`,
    {
      advice: { id: "compare_certificate", setting },
    },
  );
}

class TlsLink implements RegistryLink {
  readonly localHost: string;
  readonly remoteHost: string;
  readonly closed: Promise<void>;
  readonly #stream: TlsStream;

  constructor(stream: TlsStream, { localAddress = "", remoteAddress = "" }: TLSSocket) {
    this.#stream = stream;
    this.closed = stream.closed;
    this.localHost = localAddress;
    this.remoteHost = remoteAddress;
  }

  read(buffer: Uint8Array): Promise<number | null> {
    return this.#stream.read(buffer);
  }

  write(data: Uint8Array): Promise<void> {
    return this.#stream.write(data);
  }

  close(): void {
    this.#stream.close();
  }
}
