/**
 * TLS of the registry (docs/protocol/registry.md §1.5): certificate and key from files, or generated once and kept, so
 * that the fingerprint that clients pin survives restarts.
 *
 * @module
 */

import { createHash, createPrivateKey, X509Certificate } from "node:crypto";
import { join } from "node:path";
import { readPrivateFile, readTextFile, writeFileAtomic } from "../../platform/private_files.ts";
import type { Logger } from "../../platform/log.ts";
import { PilotError } from "../../protocol/errors.ts";
import { parseEndpoint } from "../../protocol/ip.ts";
import { type Certificate, selfSigned } from "./self_signed_certificate.ts";

/** Where certificate and key come from: files, or "auto" for a generated pair kept in the store directory. */
export type TlsOptions = "auto" | {
  /** PEM chain, the server's own certificate first. */
  readonly certFile: string;
  /** PEM private key. */
  readonly keyFile: string;
};

/** Certificate and key, ready for a listener. */
export interface TlsMaterial extends Certificate {
  /** SHA-256 of the leaf certificate's DER, 64 lowercase hex digits: what clients pin. */
  readonly fingerprint: string;
}

/** Name of the generated certificate in the store directory. */
export const TLS_CERT_FILE = "tls.crt";
/** Name of its private key, mode 0600. */
export const TLS_KEY_FILE = "tls.key";

const DAY_MS = 86_400_000;
/** How long a generated certificate is valid: clients pin it, so it is never replaced automatically. */
const VALID_DAYS = 3_650;
/** A certificate that ends within this time is reported at each start. */
const WARN_DAYS = 30;
/** What a generated certificate is always for; the host of the listen address comes on top. */
const LOCAL_HOSTS: readonly string[] = ["localhost", "127.0.0.1", "::1"];
const WILDCARDS: readonly string[] = ["", "0.0.0.0", "::"];

/** What {@linkcode loadTls} works from. */
export interface LoadTlsOptions {
  /** Where certificate and key come from. */
  readonly tls: TlsOptions;
  /** The store directory; undefined generates a pair that is forgotten with the process. */
  readonly store: string | undefined;
  /** The registry's listen address; its host goes into a generated certificate. */
  readonly addr: string;
  /** Unix milliseconds. */
  readonly now: number;
  readonly log: Logger;
}

/**
 * Loads or makes certificate and key.
 *
 * @param options Where from.
 * @returns Both, with the fingerprint.
 * @throws {PilotError} `not_found` for a file that is not there, `invalid_argument` for one that is no certificate
 * or not its key, `invalid_state` when only one half of the generated pair is left, `denied` when others may read the generated
 * key, `io_error`.
 */
export async function loadTls(options: LoadTlsOptions): Promise<TlsMaterial> {
  const { tls, log, now } = options;
  const { cert, key } = tls === "auto"
    ? await generated(options)
    : { cert: await given(tls.certFile), key: await given(tls.keyFile) };
  const where = tls === "auto" ? TLS_CERT_FILE : tls.certFile;
  const leaf = parse(cert, where);
  checkKey(leaf, key, { where, keyWhere: tls === "auto" ? TLS_KEY_FILE : tls.keyFile });
  const ends = Date.parse(leaf.validTo);
  if (ends - now < WARN_DAYS * DAY_MS) {
    log.warn(
      "registry certificate expires soon or has expired; daemons that pin it are not affected",
      {
        file: where,
        ends: leaf.validTo,
      },
    );
  }
  return { cert, key, fingerprint: fingerprintOf(leaf.raw) };
}

/**
 * What clients pin of a certificate.
 *
 * @param der The certificate.
 * @returns SHA-256, lowercase hex.
 */
export function fingerprintOf(der: Uint8Array): string {
  return createHash("sha256").update(der).digest("hex");
}

async function given(path: string): Promise<string> {
  const text = await readTextFile(path);
  if (text !== undefined) return text;
  throw new PilotError("not_found", `There is no file ${path}`, {
    advice: { id: "give_pem_files" },
  });
}

function parse(cert: string, where: string): X509Certificate {
  try {
    return new X509Certificate(cert);
  } catch (cause) {
    throw new PilotError("invalid_argument", `${where} is not a PEM certificate`, {
      cause,
      advice: { id: "give_pem_files" },
    });
  }
}

function checkKey(
  leaf: X509Certificate,
  key: string,
  { where, keyWhere }: { where: string; keyWhere: string },
): void {
  let belongs: boolean;
  try {
    belongs = leaf.checkPrivateKey(createPrivateKey(key));
  } catch {
    // Not kept as the cause: the file is secret, and the message of a parser may quote it.
    throw new PilotError("invalid_argument", `${keyWhere} is not a PEM private key`, {
      advice: { id: "give_pem_files" },
    });
  }
  if (belongs) return;
  throw new PilotError("invalid_argument", `${keyWhere} is not the private key of ${where}`, {
    advice: { id: "give_pem_files" },
  });
}

async function generated(options: LoadTlsOptions): Promise<Certificate> {
  const { store, log } = options;
  if (store === undefined) return generate(options);
  const certPath = join(store, TLS_CERT_FILE);
  const keyPath = join(store, TLS_KEY_FILE);
  const [cert, key] = [await readTextFile(certPath), await readPrivateFile(keyPath)];
  if (cert !== undefined && key !== undefined) return { cert, key };
  if (cert !== undefined) {
    throw new PilotError("invalid_state", `${certPath} is there, but not its key ${TLS_KEY_FILE}`, {
      hint: "Restore the key from a backup, or remove the certificate too: " +
        "daemons must then pin the fingerprint of the new one.",
    });
  }
  const fresh = generate(options);
  // The certificate last: nobody can have pinned one that was never complete.
  await writeFileAtomic(keyPath, fresh.key);
  await writeFileAtomic(certPath, fresh.cert);
  log.info("registry certificate generated", { file: certPath });
  return fresh;
}

function generate({ addr, now }: LoadTlsOptions): Certificate {
  const { host } = parseEndpoint(addr, { isListen: true });
  const hosts = WILDCARDS.includes(host) || LOCAL_HOSTS.includes(host) ? [] : [host];
  return selfSigned({
    organization: "Pilot Protocol",
    hosts: [...LOCAL_HOSTS, ...hosts],
    notBefore: now - DAY_MS, // clients' clocks may be behind
    notAfter: now + VALID_DAYS * DAY_MS,
  });
}
