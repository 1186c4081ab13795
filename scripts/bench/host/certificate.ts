/**
 * A self-signed X.509 certificate for the QUIC peer: just as much DER as that takes.
 *
 * @module
 */

/** PEM texts. */
export interface Certificate {
  /** The certificate, also the only one the client trusts. */
  readonly cert: string;
  /** Its private key, PKCS #8. */
  readonly key: string;
}

const DAY_MS = 86_400_000;
const ECDSA_SHA256 = "06082a8648ce3d040302";
const COMMON_NAME = "0603550403";
const SUBJECT_ALT_NAME = "0603551d11";

/**
 * Makes a certificate (RFC 5280) with an ECDSA P-256 key, valid for a day on both sides of now.
 *
 * @param name The DNS name it is for.
 * @returns Certificate and key.
 */
export async function selfSigned(name: string): Promise<Certificate> {
  const algorithm = { name: "ECDSA", namedCurve: "P-256" };
  const keys = await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const spki = new Uint8Array(await crypto.subtle.exportKey("spki", keys.publicKey));
  const pkcs8 = new Uint8Array(await crypto.subtle.exportKey("pkcs8", keys.privateKey));
  const signatureAlgorithm = der(0x30, hex(ECDSA_SHA256));
  const who = der(
    0x30,
    der(0x31, der(0x30, hex(COMMON_NAME), der(0x0c, new TextEncoder().encode(name)))),
  );
  const dnsName = der(0x82, new TextEncoder().encode(name));
  const extension = der(0x30, hex(SUBJECT_ALT_NAME), der(0x04, der(0x30, dnsName)));
  const body = der(
    0x30,
    der(0xa0, der(0x02, new Uint8Array([2]))), // version 3
    der(0x02, positive(crypto.getRandomValues(new Uint8Array(8)))),
    signatureAlgorithm,
    who,
    der(0x30, time(Date.now() - DAY_MS), time(Date.now() + DAY_MS)),
    who,
    spki,
    der(0xa3, der(0x30, extension)),
  );
  const raw = await crypto.subtle.sign({ name: "ECDSA", hash: "SHA-256" }, keys.privateKey, body);
  const signature = new Uint8Array(raw);
  const points = [signature.subarray(0, 32), signature.subarray(32)];
  const signed = der(0x30, ...points.map((point) => der(0x02, positive(point))));
  const cert = der(0x30, body, signatureAlgorithm, der(0x03, new Uint8Array([0]), signed));
  return { cert: pem("CERTIFICATE", cert), key: pem("PRIVATE KEY", pkcs8) };
}

/** One DER value: tag, length, content. */
function der(tag: number, ...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const head = length < 0x80
    ? [tag, length]
    : length < 0x100
    ? [tag, 0x81, length]
    : [tag, 0x82, length >> 8, length & 0xff];
  const value = new Uint8Array(head.length + length);
  value.set(head);
  let at = head.length;
  for (const part of parts) {
    value.set(part, at);
    at += part.length;
  }
  return value;
}

function hex(text: string): Uint8Array {
  return Uint8Array.from(text.match(/../g)!, (byte) => parseInt(byte, 16));
}

/** The shortest form of a positive number. */
function positive(bytes: Uint8Array): Uint8Array {
  const first = bytes.findIndex((byte) => byte !== 0);
  const digits = first < 0 ? new Uint8Array(1) : bytes.subarray(first);
  return digits[0]! < 0x80 ? digits : new Uint8Array([0, ...digits]);
}

/** UTCTime: YYMMDDhhmmssZ. */
function time(ms: number): Uint8Array {
  const digits = new Date(ms).toISOString().replaceAll(/[-:T]|\.\d+Z/g, "").slice(2);
  return der(0x17, new TextEncoder().encode(`${digits}Z`));
}

function pem(label: string, bytes: Uint8Array): string {
  const lines = btoa(String.fromCharCode(...bytes)).match(/.{1,64}/g)!;
  return `-----BEGIN ${label}-----\n${lines.join("\n")}\n-----END ${label}-----\n`;
}
