/** TLS for the tests of the registry. */

import { X509Certificate } from "node:crypto";
import { join } from "node:path";
import { selfSigned } from "../../../rendezvous/registry/self_signed_certificate.ts";
import { fingerprintOf } from "../../../rendezvous/registry/tls.ts";
import { split } from "./client.ts";

/** A certificate, its key, and what clients pin of it. */
export interface TestCertificate {
  readonly cert: string;
  readonly key: string;
  readonly fingerprint: string;
}

/** Makes a certificate that is valid around now. */
export function testCertificate(): TestCertificate {
  const pair = selfSigned({
    organization: "Test",
    hosts: ["localhost", "127.0.0.1"],
    notBefore: Date.now() - 60_000,
    notAfter: Date.now() + 86_400_000,
  });
  return { ...pair, fingerprint: fingerprintOf(new X509Certificate(pair.cert).raw) };
}

/** Writes certificate and key into a directory. */
export async function writePair(
  directory: string,
  pair: { cert: string; key: string },
): Promise<{ certFile: string; keyFile: string }> {
  const [certFile, keyFile] = [join(directory, "c.pem"), join(directory, "k.pem")];
  await Deno.writeTextFile(certFile, pair.cert);
  await Deno.writeTextFile(keyFile, pair.key);
  return { certFile, keyFile };
}

/** Connects with Deno's own TLS, which checks issuer and name. */
export async function connectChecked(addr: string, cert: string): Promise<Deno.TlsConn> {
  return await Deno.connectTls({ port: split(addr).port, hostname: "localhost", caCerts: [cert] });
}
